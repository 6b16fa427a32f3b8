"""Animated GIF and WebP files as videos."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from seewhy.errors import RecordingError, warn
from seewhy.images.reading import DAMAGE, on_white
from seewhy.recordings.files import check_riff, open_recording
from seewhy.recordings.recording import Video, check_size

FORMATS = ("GIF", "WEBP")

MAX_BYTES = 512_000_000

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
"""What the blocks of a GIF file begin with."""


def read_animation(path: Path) -> Video:
    """Read an animated GIF or WebP file; a file with one image is a video of one frame.

    Raises:
        RecordingError: The file is damaged or too large, or is another format.
    """
    with open_recording(path, MAX_BYTES) as file:
        check_riff(path, file)
        content = file.read(MAX_BYTES)
    if content[:4] == b"GIF8" and not _has_end(content):
        raise RecordingError(f"{path} is truncated: it ends in the middle of a frame. Copy it again.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            count = int(getattr(image, "n_frames", 1))
            check_size((count, image.height, image.width), 3, "video", path)
            frames = np.empty((count, image.height, image.width, 3), np.uint8)
            durations = []
            for position in range(count):
                image.seek(position)
                frames[position] = np.asarray(on_white(image).convert("RGB"))
                durations.append(float(image.info.get("duration", 0)))
    except UnidentifiedImageError as error:
        raise RecordingError(f"{path} is not a GIF or WebP file.") from error
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning, *DAMAGE) as error:
        raise RecordingError(f"{path} is damaged or truncated: {error}. Copy it again.") from error
    return Video(frames, fps=_speed(path, durations), source=str(path))


def _speed(path: Path, durations: Sequence[float]) -> float | None:
    """Return the number of frames in a second; None where it is unknown or, which a warning says, changes."""
    shortest, longest = min(durations), max(durations)
    if len(durations) == 1 or shortest <= 0:
        return None
    if longest - shortest > 10:  # ms, in which GIF files count
        warn(
            f"The frames of {path} are shown for {shortest:g} to {longest:g} ms, and a Video has one speed: its fps is "
            "unknown. Give one: seewhy.Video(frames, fps=10)."
        )
        return None
    return 1000 * len(durations) / sum(durations)


def _has_end(content: bytes) -> bool:
    """Whether the blocks of a GIF file end with its trailer: Pillow takes a truncated file as one with fewer frames."""
    try:
        position = 13 + _table_size(content[10])
        while content[position] != TRAILER:
            if content[position] == EXTENSION:
                position = _after_data(content, position + 2)
            elif content[position] == IMAGE:
                position = _after_data(content, position + 11 + _table_size(content[position + 9]))
            else:
                return True  # not as the format says: Pillow tells what it makes of it
    except IndexError:
        return False
    return True


def _table_size(flags: int) -> int:
    """Return the number of bytes of the colour table that these flags announce."""
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _after_data(content: bytes, position: int) -> int:
    """Return the position after blocks of data, each of which begins with its length; 0 ends them."""
    while content[position]:
        position += content[position] + 1
    return position + 1
