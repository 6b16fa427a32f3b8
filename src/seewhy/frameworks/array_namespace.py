"""The functions of NumPy's arrays, named as in the array API, for methods and targets."""

import math
from typing import Any

import numpy as np
from array_api_compat.numpy import *  # noqa: F403 - what methods and targets use is for them to say
from numpy.typing import NDArray

from seewhy.matrix_products import product


def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """Return 1 / (1 + exp(-x)), computed without overflow."""
    exponential = np.exp(-np.abs(values))
    positive = 1 / (1 + exponential)
    return np.asarray(np.where(values >= 0, positive, exponential * positive))


def mean(values: NDArray[Any], /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> NDArray[Any]:
    """Return the mean; along axes that repeat one value in memory, as gradients before a pooling do, that value."""
    axes = () if axis is None else (axis,) if isinstance(axis, int) else axis
    if not values.size or {values.strides[each] for each in axes} != {0}:
        return np.asarray(np.mean(values, axis=axis, keepdims=keepdims))
    first = {each % values.ndim for each in axes}
    index = tuple((slice(1) if keepdims else 0) if each in first else slice(None) for each in range(values.ndim))
    return np.asarray(values[index])


def einsum(subscripts: str, *operands: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of products; channels weighted for each target are one matrix product, which takes less time."""
    if subscripts != "ntk,n...k->nt...":
        return np.asarray(np.einsum(subscripts, *operands))
    weights, activations = operands
    images, *space, channels = activations.shape
    positions = np.swapaxes(activations.reshape(images, math.prod(space), channels), 1, 2)
    return product(weights, positions).reshape(images, weights.shape[1], *space)
