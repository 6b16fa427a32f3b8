"""The kernels of a model: the weights that a sanity check replaces by random ones."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

Kernels = Mapping[str, tuple[NDArray[Any], ...]]
"""The kernels and matrices of each layer by its path: its own weights with two or more axes. Biases, and the scales of
normalisations, are none.

Their axes are in one order, whatever the framework stores, that of PyTorch: (out, in, *window) of a convolution,
(in, out, *window) of a transposed one, (channel, multiplier, *window) of a depthwise one and (out, in) of a matrix. So
what is drawn for them, number by number, is the same for a model in every framework."""


def is_kernel(shape: tuple[int, ...], dtype: str) -> bool:
    """Whether weights of a shape and type are a kernel or a matrix."""
    return len(shape) >= 2 and "float" in dtype
