"""The inputs that an ONNX model declares."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from seewhy.errors import ModelError
from seewhy.frameworks.onnx.shapes import Shape

DEFAULT_SIZE = 64
"""The size of an axis that a model leaves open, where its layers are listed before it is given inputs."""

CHANNELS = (1, 3, 4)
"""The numbers of channels of an image: grey, RGB, and with a fourth."""


def declared_inputs(model: onnx.ModelProto) -> dict[str, Shape]:
    """Return the shape of each input by name, with None for sizes that it leaves open.

    Raises:
        ModelError: There is no input, or one of unknown rank.
    """
    initializers = {tensor.name for tensor in model.graph.initializer}
    shapes: dict[str, Shape] = {}
    for value in model.graph.input:
        if value.name in initializers:
            continue
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not kind.HasField("shape") or not kind.shape.dim:
            raise ModelError(f"The input {value.name!r} of the ONNX model does not say how many axes it has.")
        shapes[value.name] = tuple(size.dim_value if size.dim_value > 0 else None for size in kind.shape.dim)
    if not shapes:
        raise ModelError("The ONNX model has no input.")
    return shapes


def with_default_sizes(shape: Shape) -> Shape:
    """Return the shape of an input with a size for every axis but that of the images."""
    return (shape[0], *(DEFAULT_SIZE if size is None else size for size in shape[1:]))


def has_channels_first(shape: Shape) -> bool:
    """Whether an input is (N, K, *space): the axis that may be one of channels tells; the second if both may be."""
    return len(shape) < 3 or shape[1] in CHANNELS or shape[-1] not in CHANNELS


def as_input(array: NDArray[Any], value: onnx.ValueInfoProto) -> NDArray[Any]:
    """Return an array in the type of an input, rounded where that holds whole numbers."""
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    if dtype.kind in "iu" and array.dtype.kind == "f":
        limits = np.iinfo(dtype)
        array = np.clip(np.rint(array), limits.min, limits.max)
    return np.ascontiguousarray(array, dtype=dtype)
