"""NumPy's `.npy` files: volumes, signals and videos, told apart by their axes."""

from pathlib import Path

import numpy as np

from seewhy.errors import RecordingError
from seewhy.numpy_files import read_header, read_values
from seewhy.recordings.files import open_recording
from seewhy.recordings.recording import MAX_VALUES, Recording, Signal, Video, Volume

MAX_BYTES = 8 * MAX_VALUES + 2**20


def read_array(path: Path) -> Recording:
    """Read a `.npy` file. Objects that it may hold are not unpickled, and its header is checked before the values.

    Returns:
        A `Video` of uint8 (T, H, W, 3); a `Volume` of other arrays of three or four axes; a `Signal` of one or two.

    Raises:
        RecordingError: The file is damaged, truncated or too large, or holds something else.
    """
    with open_recording(path, MAX_BYTES) as file:  # which says of which file it is that NumPy's reader complains
        header = read_header(file)
        shape, dtype = header.shape, header.dtype
        if dtype.kind not in "fiub" or not 1 <= len(shape) <= 4 or min(shape) < 1:
            raise RecordingError(
                f"{path} holds an array of shape {shape} and type {dtype}; expected numbers: a signal (L,) or (L, C), "
                "a volume (D, H, W) or (D, H, W, C), or a video, uint8 (T, H, W, 3)."
            )
        if header.size > MAX_VALUES:
            raise RecordingError(
                f"{path} holds an array of shape {shape}, {header.size:,} values; the limit is {MAX_VALUES:,}."
            )
        values = read_values(file, header, MAX_BYTES)
    if values.ndim == 4 and values.dtype == np.uint8 and values.shape[3] == 3:
        return Video(values, source=str(path))
    return Signal(values, source=str(path)) if values.ndim < 3 else Volume(values, source=str(path))
