"""Kernels of Keras layers, and running a model with others."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.kernels import Kernels, is_kernel

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)

WINDOW_FIRST = (
    keras.layers.Dense,
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    *DEPTHWISE,
)
"""Layers whose kernels are (*window, in, out), (*window, out, in) of transposed convolutions, and (*window, channel,
multiplier) of depthwise ones; a matrix has no window."""


def kernels_of(layers: Mapping[str, Any]) -> Kernels:
    """Return the kernels of layers by path, each with the innermost layer that has it."""
    return {
        path: tuple(keras.ops.convert_to_numpy(variable).transpose(_axes(layers[path], variable)) for variable in own)
        for path, own in _variables(layers).items()
    }


@contextmanager
def replaced_kernels(layers: Mapping[str, Any], kernels: Kernels) -> Iterator[None]:
    """Give layers other kernels while this is open; the values that they had are written back bit for bit."""
    changes = [
        (variable, np.array(keras.ops.convert_to_numpy(variable)), _stored(values, _axes(layers[path], variable)))
        for path, own in _variables(layers).items()
        for variable, values in zip(own, kernels.get(path, ()), strict=path in kernels)
    ]

    def restore() -> None:
        for variable, before, _ in changes:
            variable.assign(before)

    with restoring(restore):
        for variable, before, values in changes:
            variable.assign(values.astype(before.dtype))
        yield


def _axes(layer: Any, variable: Any) -> tuple[int, ...]:
    """Return the axes of a stored kernel in the order of `Kernels`; as they are in layers that are not known."""
    axes = tuple(range(len(variable.shape)))
    if not isinstance(layer, WINDOW_FIRST):
        return axes
    is_depthwise = isinstance(layer, DEPTHWISE) or variable.name == "depthwise_kernel"
    return (*(axes[-2:] if is_depthwise else axes[:-3:-1]), *axes[:-2])


def _stored(values: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    return np.asarray(values).transpose(np.argsort(axes))


def _variables(layers: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the variables that are kernels by the path of their layer, in the order of the layers."""
    seen: set[int] = set()
    found: dict[str, list[Any]] = {}
    for path, layer in reversed(list(layers.items())):  # inner before outer: the weights of a layer are its parts' too
        if isinstance(layer, keras.layers.Normalization):
            continue  # its mean has as many axes as an image
        for variable in getattr(layer, "weights", ()):
            dtype = keras.backend.standardize_dtype(variable.dtype)
            if id(variable) not in seen and is_kernel(tuple(variable.shape), dtype):
                seen.add(id(variable))
                found.setdefault(path, []).append(variable)
    return {path: found[path] for path in layers if path in found}
