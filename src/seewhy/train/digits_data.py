"""Handwritten digits in an `.npz` file with x_train, y_train, x_test and y_test, the layout of Keras's `mnist.npz`."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.errors import InputError
from seewhy.numpy_files import arrays_in
from seewhy.regular_files import read_regular_file
from seewhy.types import ImageArray, IndexArray

SIDE = 28
CLASSES = 10
MAX_BYTES = 2**30
"""MNIST has 55 MB, not compressed."""
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Digits:
    """Images of digits and their classes.

    Attributes:
        x_train: uint8 (n, 28, 28), light on dark.
        y_train: int32 (n,), 0 to 9.
        x_test: uint8 (m, 28, 28).
        y_test: int32 (m,).
        sha256: The checksum of the file, in hexadecimal.
    """

    x_train: ImageArray
    y_train: IndexArray
    x_test: ImageArray
    y_test: IndexArray
    sha256: str


def read_digits(path: Path) -> Digits:
    """Read and check a file of digits.

    Raises:
        InputError: The file cannot be read or is not an `.npz` file, or an array is missing or invalid.
    """
    try:
        content = read_regular_file(path, MAX_BYTES)
        arrays = arrays_in(io.BytesIO(content), MAX_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read the digits {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not an .npz file of arrays: {error}. Expected {', '.join(ARRAYS)}.") from error
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; expected the arrays {', '.join(ARRAYS)}.")
    x_train, x_test = (_images(path, name, arrays[name]) for name in ("x_train", "x_test"))
    y_train = _labels(path, "y_train", arrays["y_train"], len(x_train))
    y_test = _labels(path, "y_test", arrays["y_test"], len(x_test))
    return Digits(x_train, y_train, x_test, y_test, sha256=hashlib.sha256(content).hexdigest())


def _images(path: Path, name: str, array: Any) -> ImageArray:
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype != np.uint8 or array.shape[1:] != (SIDE, SIDE) or len(array) == 0:
        raise InputError(
            f"{path}: {name} has shape {array.shape} and type {array.dtype}; expected uint8 (n, {SIDE}, {SIDE}), "
            "values 0 to 255, light digits on dark."
        )
    return np.asarray(array)


def _labels(path: Path, name: str, array: Any, count: int) -> IndexArray:
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {name} has shape {array.shape} and type {array.dtype}; expected ({count},) integers, one for "
            "each image."
        )
    if array.min() < 0 or array.max() >= CLASSES:
        raise InputError(f"{path}: {name} has values from {array.min()} to {array.max()}; expected digits, 0 to 9.")
    return np.asarray(array, dtype=np.int32)
