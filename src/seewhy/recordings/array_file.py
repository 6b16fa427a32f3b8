"""NumPy's `.npy` files: volumes, signals and videos, told apart by their axes."""

import math
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from seewhy.errors import RecordingError
from seewhy.recordings.files import open_recording, truncated
from seewhy.recordings.recording import MAX_VALUES, Recording, Signal, Video, Volume

MAX_BYTES = 8 * MAX_VALUES + 2**20


def read_array(path: Path) -> Recording:
    """Read a `.npy` file. Objects that it may hold are not unpickled, and its header is checked before the values.

    Returns:
        A `Video` of uint8 (T, H, W, 3); a `Volume` of other arrays of three or four axes; a `Signal` of one or two.

    Raises:
        RecordingError: The file is damaged, truncated or too large, or holds something else.
    """
    with open_recording(path, MAX_BYTES) as file:
        shape, is_fortran, dtype = _header(path, file)
        if dtype.kind not in "fiub" or not 1 <= len(shape) <= 4 or min(shape) < 1:
            raise RecordingError(
                f"{path} holds an array of shape {shape} and type {dtype}; expected numbers: a signal (L,) or (L, C), "
                "a volume (D, H, W) or (D, H, W, C), or a video, uint8 (T, H, W, 3)."
            )
        if math.prod(shape) > MAX_VALUES:
            raise RecordingError(
                f"{path} holds an array of shape {shape}, {math.prod(shape):,} values; the limit is {MAX_VALUES:,}."
            )
        expected = math.prod(shape) * dtype.itemsize
        content = file.read(expected)
    if len(content) < expected:
        raise truncated(path, len(content), expected)
    values = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
    if values.ndim == 4 and values.dtype == np.uint8 and values.shape[3] == 3:
        return Video(values, source=str(path))
    return Signal(values, source=str(path)) if values.ndim < 3 else Volume(values, source=str(path))


def _header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers: dict[tuple[int, int], Any] = {
        (1, 0): npy_format.read_array_header_1_0,
        (2, 0): npy_format.read_array_header_2_0,
    }
    try:
        version = npy_format.read_magic(file)
        if version not in readers:
            raise RecordingError(f"{path} has the version {version} of the .npy format; expected 1.0 or 2.0.")
        shape, is_fortran, dtype = readers[version](file)
    except (ValueError, SyntaxError, TypeError, RecursionError, EOFError, TokenError, MemoryError) as error:
        raise RecordingError(f"{path} is not a .npy file, or its header is damaged: {error}") from error
    return tuple(map(int, shape)), bool(is_fortran), dtype
