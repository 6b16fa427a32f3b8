"""Read a weights file in torch's old format, without torch and without running code in the file.

Before version 1.6, `torch.save` wrote five pickles in a row (a magic number, a protocol version, facts about the
machine, the object, the order of its storages) and then the raw values of the storages. A pickle can call any function
by name; this unpickler allows only the four kinds of names that a state dict needs.
"""

import collections
import hashlib
import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import WeightsError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
STORAGE_TYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}

StateDict = dict[str, NDArray[Any]]


def read_state_dict(path: Path, sha256: str) -> StateDict:
    """Read a state dict written by the old `torch.save`.

    Args:
        path: The file.
        sha256: The expected hash of the file, in hexadecimal. It is checked before anything is decoded.

    Returns:
        Arrays by name, in the order of the file.

    Raises:
        WeightsError: The file cannot be read, has another hash, or does not contain a state dict.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"Cannot read the weights file {path}: {error.strerror}.") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise WeightsError(
            f"The weights file {path} is damaged or is another file: its sha256 is {actual}, expected {sha256}. "
            "Install it again."
        )
    try:
        return _parse(io.BytesIO(content))
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"The weights file {path} is not a state dict of the old torch format: {error}.") from error


class _Tensor(NamedTuple):
    """A tensor as described in the pickle, before its values are read."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Rebuilds descriptions of tensors; calls no function that the file names."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # The last two arguments, requires_grad and the backward hooks, have no meaning without torch.
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not part of a state dict")

    def persistent_load(self, reference: Any) -> str:
        kind, dtype, key, _device, _count, view = reference
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it contains a {kind!r} or a view; expected a plain storage")
        self.dtypes[key] = dtype
        return str(key)


def _parse(file: BinaryIO) -> StateDict:
    if _Unpickler(file).load() != MAGIC_NUMBER:
        raise pickle.UnpicklingError("its magic number is wrong")
    if _Unpickler(file).load() != PROTOCOL_VERSION:
        raise pickle.UnpicklingError("its protocol version is not 1001")
    _Unpickler(file).load()  # byte order and word sizes of the machine; the values are always little-endian
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    storages = {key: _read_storage(file, unpickler.dtypes[key]) for key in _Unpickler(file).load()}
    return {name: _view(storages[tensor.storage], tensor) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    values = file.read(count * dtype.itemsize)
    if len(values) != count * dtype.itemsize:
        raise EOFError("it ends within a storage")
    return np.frombuffer(values, dtype)


def _view(storage: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """Return a view of a storage with the tensor's shape and strides (in elements), within the storage's bounds."""
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or (0 not in tensor.shape and last >= storage.size):
        raise ValueError(f"a tensor of shape {tensor.shape} exceeds its storage of {storage.size} values")
    strides = tuple(step * storage.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
