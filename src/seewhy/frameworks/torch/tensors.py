"""Moving arrays to a device and tensors off it."""

from collections.abc import Iterable
from typing import Any

import torch

from seewhy.targets import Objective
from seewhy.types import Tensor


def target_arrays(objective: Objective, count: int, tensor: Tensor) -> list[Tensor]:
    """Return the arrays of a target for `count` images, on the device of a tensor."""
    arrays = [torch.tensor(array, device=tensor.device) for array in objective.target.arrays(count)]
    return [array if array.is_floating_point() else array.to(torch.int64) for array in arrays]  # as indexing needs


def detached(value: Any) -> Any:
    """Return a tensor apart from what was recorded; anything else as it is."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def first_tensor(tensors: Iterable[Tensor]) -> Tensor | None:
    """Return the first tensor of real numbers."""
    return next((each for each in tensors if each.is_floating_point()), None)


def off_device(value: Any) -> Any:
    """Copy a tensor to a NumPy array, real numbers as float32; anything else is given back."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy()
