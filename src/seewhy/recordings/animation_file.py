"""Animated GIF and WebP files as videos."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from seewhy.errors import RecordingError
from seewhy.images.reading import DAMAGE
from seewhy.recordings.files import open_recording
from seewhy.recordings.recording import Video, check_size

FORMATS = ("GIF", "WEBP")

MAX_BYTES = 512_000_000


def read_animation(path: Path) -> Video:
    """Read an animated GIF or WebP file; a file with one image is a video of one frame.

    Raises:
        RecordingError: The file is damaged or too large, or is another format.
    """
    with open_recording(path, MAX_BYTES) as file:
        content = file.read(MAX_BYTES)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            count = int(getattr(image, "n_frames", 1))
            check_size((count, image.height, image.width), 3, "video")
            frames = np.empty((count, image.height, image.width, 3), np.uint8)
            durations = []
            for position in range(count):
                image.seek(position)
                frames[position] = np.asarray(image.convert("RGB"))
                durations.append(float(image.info.get("duration", 0)))
    except UnidentifiedImageError as error:
        raise RecordingError(f"{path} is not a GIF or WebP file.") from error
    except (OSError, *DAMAGE) as error:
        raise RecordingError(f"{path} is damaged or truncated: {error}. Copy it again.") from error
    seconds = sum(durations) / 1000
    return Video(frames, fps=count / seconds if count > 1 and seconds > 0 else None, source=str(path))
