"""The functions of PyTorch's tensors, named as in the array API, for methods and targets."""

import math

import torch
from array_api_compat import torch as array_api
from array_api_compat.torch import *  # noqa: F403 - what methods and targets use is for them to say

from seewhy.types import NativeTensor


def take_along_axis(values: NativeTensor, indices: NativeTensor, /, *, axis: int = -1) -> NativeTensor:
    """Return the values at some indices; of a single row they are selected.

    PyTorch differentiates a selection for many targets at once, and what it gathers for one after the other.
    """
    if values.ndim != 2 or indices.ndim != 2 or axis != -1 or not len(values) == len(indices) == 1:
        return array_api.take_along_axis(values, indices, axis=axis)
    row = indices[0]
    return torch.index_select(values, 1, torch.where(row < 0, row + values.shape[1], row))


def top_indices(values: NativeTensor, k: int, /) -> NativeTensor:
    """Return the indices (N, k) of the k highest values of each row (N, C), the highest first, and NaN last.

    Of equal values the first is taken, which `torch.topk` does not promise; one value is found without sorting.
    """
    if k > 1:
        return array_api.argsort(-values, axis=-1)[:, :k]
    return torch.argmax(torch.nan_to_num(values.detach(), -math.inf, math.inf, -math.inf), dim=-1, keepdim=True)


def einsum(subscripts: str, *operands: NativeTensor) -> NativeTensor:
    """Return the sum of products; channels weighted for each target are one matrix product, which takes less time."""
    if subscripts != "ntk,n...k->nt...":
        return torch.einsum(subscripts, *operands)
    weights, activations = operands
    images, *space, channels = activations.shape
    positions = activations.reshape(images, math.prod(space), channels).mT
    return torch.matmul(weights, positions).reshape(images, weights.shape[1], *space)
