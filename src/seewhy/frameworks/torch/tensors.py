"""Moving arrays to a device and tensors to NumPy."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.targets import Objective
from seewhy.types import NativeTensor


def target_arrays(objective: Objective, count: int, tensor: NativeTensor) -> list[NativeTensor]:
    """Return the arrays of a target for `count` images, on the device of a tensor."""
    return [_to_tensor(array).to(tensor.device) for array in objective.target.arrays(count)]


def _to_tensor(array: NDArray[Any]) -> NativeTensor:
    """Copy an array to a tensor; whole numbers become int64, which indexing needs."""
    return torch.from_numpy(np.array(array, dtype=array.dtype if array.dtype.kind == "f" else np.int64))


TRANSFORMED = "runs inside torch.vmap or another transform of torch.func"
"""The obstacle of a layer whose output has no memory of its own."""


def has_memory(tensor: NativeTensor) -> bool:
    """Whether a tensor has values in memory; inside torch.vmap and the transforms of torch.func it has not."""
    try:
        tensor.data_ptr()
    except RuntimeError:
        return bool(tensor.layout != torch.strided)  # a sparse tensor has several places in memory
    return True


def detach(value: Any) -> Any:
    """Detach a tensor from the autograd graph; return any other value as it is."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def first_float_tensor(tensors: Iterable[NativeTensor]) -> NativeTensor | None:
    """Return the first tensor of a floating-point type; None if there is none."""
    return next((tensor for tensor in tensors if tensor.is_floating_point()), None)


def to_array(value: Any) -> Any:
    """Copy a tensor to a NumPy array, floating-point numbers as float32; return any other value as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy()


def to_bytes(tensor: NativeTensor) -> NDArray[np.uint8]:
    """Return the bytes of a tensor of any type and layout, preceded by its type and shape."""
    values = tensor.detach().cpu()
    values = values.to_dense() if values.layout != torch.strided else values
    values = values.int_repr() if values.is_quantized else values
    head = np.frombuffer(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), np.uint8)
    flat = values.resolve_conj().resolve_neg().contiguous().reshape(-1)
    return np.concatenate([head, flat.view(torch.uint8).numpy()]) if flat.numel() else head
