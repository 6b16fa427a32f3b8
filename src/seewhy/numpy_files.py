"""Read NumPy's `.npy` and `.npz` files of anyone: regular files of limited size, whose pickles are not read.

The header of an array is checked before there is memory for its values; of a compressed file, no more is decompressed
than the header says.
"""

import io
import math
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from seewhy.regular_files import open_regular_file

MAX_BYTES = 2**29
"""The limit for the values of a file, unless another is given: a hundred heatmaps of a megapixel, in float32."""

MAX_ARRAYS = 1000
"""The number of arrays of an .npz file."""

MAX_HEADER = 2**16
"""The bytes of a header that are read; those of numbers have some hundred."""

READERS: dict[tuple[int, int], Any] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
"""What reads the header of each version; version 3.0 is for structured arrays with names that are not ASCII."""


class ArrayFileError(ValueError):
    """The file is not one of NumPy's, is damaged or truncated, has objects, or is too large."""


class Header(NamedTuple):
    """What the header of an array says.

    Attributes:
        shape: Its shape.
        is_fortran: Whether its first axis varies fastest.
        dtype: Its type.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes of the values."""
        return self.size * self.dtype.itemsize


def read_npy(path: Path, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """Read the array of a `.npy` file.

    Args:
        path: The file.
        max_bytes: The limit for its values.

    Raises:
        ArrayFileError: The file is damaged, holds objects, or more than the limit.
        OSError, ValueError: As for `open_regular_file`.
    """
    with open_regular_file(path, max_bytes + MAX_HEADER) as file:
        return read_values(file, read_header(file), max_bytes)


def read_npz(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Read the arrays of an `.npz` file by name.

    Args:
        path: The file.
        max_bytes: The limit for the values of all arrays together.

    Raises:
        ArrayFileError: The file is damaged, holds objects, or more than the limit.
        OSError, ValueError: As for `open_regular_file`.
    """
    with open_regular_file(path, max_bytes + MAX_ARRAYS * MAX_HEADER) as file:
        return arrays_in(file, max_bytes)


def arrays_in(file: IO[bytes], max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Return the arrays of an `.npz` file that is open.

    Raises:
        ArrayFileError: As for `read_npz`.
    """
    if file.read(len(npy_format.MAGIC_PREFIX)) == npy_format.MAGIC_PREFIX:
        raise ArrayFileError("it holds a single array, as numpy.save writes it")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ARRAYS:
                raise ArrayFileError(f"it has {len(entries):,} arrays; the limit is {MAX_ARRAYS:,}")
            for entry in entries:
                with archive.open(entry) as stream:
                    header = read_header(stream)
                    arrays[entry.filename.removesuffix(".npy")] = read_values(stream, header, max_bytes)
                max_bytes -= header.nbytes
    # RuntimeError: it is encrypted; NotImplementedError: by a method that Python does not know
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ArrayFileError(str(error) or type(error).__name__) from error
    return arrays


def read_header(file: IO[bytes]) -> Header:
    """Read the header of an array, up to its values.

    Raises:
        ArrayFileError: It is not such a header.
    """
    start = io.BytesIO(file.read(npy_format.MAGIC_LEN + 4))
    try:
        version = npy_format.read_magic(start)
        if version not in READERS:
            raise ArrayFileError(f"it has the version {version} of the .npy format; expected 1.0 or 2.0")
        lengths = start.read()
        # The length takes two bytes in version 1.0, which leaves two bytes of the header itself, and four in 2.0.
        length = int.from_bytes(lengths[:2] if version == (1, 0) else lengths, "little")
        if length > MAX_HEADER:
            raise ArrayFileError(f"its header has {length:,} bytes; the limit is {MAX_HEADER:,}")
        rest = file.read(max(0, length - 2 if version == (1, 0) else length))
        shape, is_fortran, dtype = READERS[version](io.BytesIO(lengths + rest))
    except ArrayFileError:
        raise
    except (ValueError, SyntaxError, TypeError, RecursionError, EOFError, TokenError, MemoryError) as error:
        raise ArrayFileError(f"it is not a .npy file, or its header is damaged: {error}") from error
    return Header(tuple(map(int, shape)), bool(is_fortran), dtype)


def read_values(file: IO[bytes], header: Header, max_bytes: int) -> NDArray[Any]:
    """Read the values that follow a header.

    Raises:
        ArrayFileError: They are objects, fewer than the header says, or more than `max_bytes` bytes.
    """
    if header.dtype.hasobject:
        raise ArrayFileError(f"it holds objects of Python, of the type {header.dtype}, which are not read")
    if any(side < 0 for side in header.shape):
        raise ArrayFileError(f"it holds an array of shape {header.shape}")
    if header.nbytes > max_bytes:
        raise ArrayFileError(
            f"it holds an array of shape {header.shape} and type {header.dtype}, {header.nbytes:,} bytes; the limit is "
            f"{max_bytes:,}"
        )
    content = file.read(header.nbytes)
    if len(content) < header.nbytes:
        raise ArrayFileError(
            f"it is truncated: its header announces {header.nbytes:,} bytes, and there are {len(content):,}"
        )
    values = np.frombuffer(content, header.dtype) if header.nbytes else np.empty(header.size, header.dtype)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")
