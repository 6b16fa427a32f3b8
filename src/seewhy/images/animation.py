"""Animations: frames shown in turn, as GIF or WebP."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from PIL import Image

from seewhy.errors import OptionError, short_repr
from seewhy.images.writing import Writer
from seewhy.types import ImageArray

ANIMATION_SUFFIXES = (".gif", ".webp")


def animation_writer(frames: Sequence[ImageArray], suffix: str, seconds: float) -> Writer:
    """Return a function that writes frames to a file as an animation that loops forever.

    Args:
        frames: uint8 (H, W, 3) each, all of one size.
        suffix: ".gif", with 256 colours per frame, or ".webp", with full colour.
        seconds: How long each frame is shown, 0.02 to 60; browsers do not show frames for less.

    Raises:
        OptionError: `seconds` is out of range.
    """
    _check_seconds(seconds)
    first, *others = [Image.fromarray(frame) for frame in frames]
    options = {"quality": 90} if suffix == ".webp" else {}

    def write(file: object) -> None:
        first.save(
            file,  # type: ignore[arg-type]  # Pillow writes to any binary file
            format=suffix[1:].upper(),
            save_all=True,
            append_images=others,
            duration=round(1000 * float(seconds)),
            loop=0,
            **options,
        )

    return write


def _check_seconds(seconds: Any) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not 0.02 <= seconds <= 60:  # type: ignore[operator]
        raise OptionError(f"seconds is {short_repr(seconds)}; expected a number from 0.02 to 60.")
