"""Images that follow each other in one file."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from PIL import Image

from seewhy.errors import OptionError
from seewhy.images.writing import Writer
from seewhy.types import ImageArray

ANIMATION_SUFFIXES = (".gif", ".webp")


def animation_writer(frames: Sequence[ImageArray], suffix: str, seconds: float) -> Writer:
    """Return what writes frames as an animation that begins again at its end.

    Args:
        frames: uint8 (H, W, 3) each, all of one size.
        suffix: ".gif", which has 256 colours in each frame, or ".webp", which has them all.
        seconds: How long each is shown.

    Raises:
        OptionError: `seconds` is not a number from 0.02, below which browsers do not go, to 60.
    """
    _check_seconds(seconds)
    first, *others = [Image.fromarray(frame) for frame in frames]
    options = {"quality": 90} if suffix == ".webp" else {}

    def write(file: object) -> None:
        first.save(
            file,  # type: ignore[arg-type]  # any binary file
            format=suffix[1:].upper(),
            save_all=True,
            append_images=others,
            duration=round(1000 * float(seconds)),
            loop=0,
            **options,
        )

    return write


def _check_seconds(seconds: Any) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not 0.02 <= float(seconds) <= 60:
        raise OptionError(f"seconds is {seconds!r}; expected a number from 0.02 to 60.")
