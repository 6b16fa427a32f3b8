"""Other inputs of the same shape, to judge a layer by more than one image."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.structures import InputBatch, map_tree


def variants(inputs: InputBatch) -> Iterator[InputBatch]:
    """Yield the batch, and then the same values in other places: other images of the same shape."""
    yield inputs
    inputs = map_tree(varied, inputs)
    for change in (lambda array: _reversed(_rolled(array)), _rolled, _reversed):
        yield map_tree(change, inputs)


def noise_like(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return noise of a shape in the range of an array's values, so that the model does not clip it."""
    low, high = float(array.min()), float(array.max())
    low, high = (low, high) if high > low else (low - 1, high + 1)
    noise = np.random.default_rng(0).uniform(low, high, shape)
    return (np.rint(noise) if array.dtype.kind in "iu" else noise).astype(array.dtype)


def varied(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array whose values differ: those of a blank image are the same in any places."""
    if (array != array.flat[0]).any() or array.dtype.kind != "f":
        return array
    noise = np.random.default_rng(0).standard_normal(array.shape)
    return (array + noise).astype(array.dtype)


def _reversed(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.flip(array, axis=tuple(range(1, array.ndim))))


def _rolled(array: NDArray[Any]) -> NDArray[Any]:
    axes = tuple(range(1, array.ndim))
    return np.roll(array, tuple(array.shape[axis] // 3 for axis in axes), axes)
