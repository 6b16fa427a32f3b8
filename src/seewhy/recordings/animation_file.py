"""Animated GIF and WebP files as videos."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from seewhy.errors import RecordingError, warn
from seewhy.images.decoding_work import GIF_SIGNATURE, excessive_work
from seewhy.images.gif_blocks import scan_blocks
from seewhy.images.reading import DAMAGE, on_white
from seewhy.recordings.files import check_riff, open_recording
from seewhy.recordings.recording import Video, check_size

FORMATS = ("GIF", "WEBP")

MAX_BYTES = 512_000_000


def read_animation(path: Path) -> Video:
    """Read an animated GIF or WebP file; a file with one image is a video of one frame.

    Raises:
        RecordingError: The file is damaged or too large, or is another format.
    """
    with open_recording(path, MAX_BYTES) as file:
        check_riff(path, file)
        content = file.read(MAX_BYTES)
    if excess := excessive_work(content):
        raise RecordingError(f"{path} takes too much work to decode: it has {excess}. Save it again.")
    if content.startswith(GIF_SIGNATURE):
        blocks = scan_blocks(content)
        if not blocks.has_end:  # Pillow would give fewer frames
            raise RecordingError(f"{path} is truncated: it ends in the middle of a frame. Copy it again.")
        width, height = struct.unpack("<2H", content[6:10])
        # Pillow reads all frames to count them.
        check_size((max(blocks.images, 1), max(height, 1), max(width, 1)), 3, "video", path)
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
