"""Whether the weights of a module were changed."""

from collections.abc import Hashable, Iterable
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.frameworks.torch.private_api import versions_of


@final
class WeightsVersion:
    """Tells whether tensors were changed: by where they are in memory, PyTorch's count of writes, and some values.

    PyTorch does not count writes through `.data`, nor those of NumPy to memory that it shares. One value of each tensor
    is read, so that those which change whole tensors, such as `weight.data.mul_(2)`, are noticed.
    """

    def __init__(self) -> None:
        self._samples: tuple[tuple[int, ...], list[NDArray[Any]]] = ((), [])

    def __reduce__(self) -> tuple[type["WeightsVersion"], tuple[()]]:
        return type(self), ()  # a copy of the values would not be in the tensors' memory

    def __call__(self, tensors: Iterable[torch.Tensor]) -> Hashable:
        """Return what is different after one of these tensors was changed."""
        listed = list(tensors)
        places = tuple([tensor.data_ptr() for tensor in listed])
        known, values = self._samples
        if known != places:
            values = [_middle(tensor) for tensor in listed if _is_readable(tensor)]
            self._samples = (places, values)
        read = np.concatenate(values).tobytes() if values else b""
        return (places, tuple(versions_of(listed)), read)


def _is_readable(tensor: torch.Tensor) -> bool:
    """Whether a tensor is plain memory of the processor."""
    is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided
    return is_plain and tensor.device.type == "cpu" and not tensor.is_quantized and tensor.numel() > 0


def _middle(tensor: torch.Tensor) -> NDArray[Any]:
    """Return the bytes of the value in the middle of a tensor, in the tensor's own memory."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    position = tensor.storage_offset() + sum(size // 2 * stride for size, stride in sizes)
    values: NDArray[Any] = tensor.detach().as_strided((1,), (1,), position).view(torch.uint8).numpy()
    return values
