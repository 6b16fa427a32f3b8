"""Kernels of Keras layers, and running a model with others."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.kernels import Kernels, is_kernel


def kernels_of(layers: Mapping[str, Any]) -> Kernels:
    """Return the kernels of layers by path, each with the innermost layer that has it."""
    return {path: tuple(map(keras.ops.convert_to_numpy, own)) for path, own in _variables(layers).items()}


@contextmanager
def replaced_kernels(layers: Mapping[str, Any], kernels: Kernels) -> Iterator[None]:
    """Give layers other kernels while this is open; the values that they had are written back bit for bit."""
    changes = [
        (variable, np.array(keras.ops.convert_to_numpy(variable)), values)
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
