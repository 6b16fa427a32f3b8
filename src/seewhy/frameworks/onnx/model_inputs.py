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


CONVOLUTIONS = {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv"}

ALIGNED = {
    *("Identity", "Cast", "Add", "Sub", "Mul", "Div", "Pad", "Clip", "BatchNormalization", "Resize", "Dropout", "Relu"),
    *("QuantizeLinear", "DequantizeLinear"),
}
"""Operators before the first convolution that leave the axes as they are."""


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


def has_channels_first(model: onnx.ModelProto, name: str, shape: Shape) -> bool:
    """Whether an input is (N, K, *space): its first convolution tells, and else the axis that may be one of channels.

    Args:
        model: The model.
        name: The name of the input.
        shape: Its shape; None for sizes that the model leaves open.
    """
    if len(shape) < 3:
        return True
    axis = _channels_of_convolution(model, name, len(shape))
    if axis in (1, len(shape) - 1):
        return axis == 1
    return shape[1] in CHANNELS or shape[-1] not in CHANNELS


def _channels_of_convolution(model: onnx.ModelProto, name: str, rank: int) -> int | None:
    """Return the axis of an input that is the channels of the first convolution; None where there is no telling."""
    order = {name: list(range(rank))}
    for node in model.graph.node:
        given = next((value for value in node.input if value in order), None)
        if given is None:
            continue
        if node.op_type in CONVOLUTIONS and given == node.input[0]:
            return order[given][1]
        if node.op_type == "Transpose":
            moved = next((list(attribute.ints) for attribute in node.attribute), list(range(rank))[::-1])
            order[node.output[0]] = [order[given][axis] for axis in moved]
        elif node.op_type in ALIGNED:
            order[node.output[0]] = order[given]
    return None


def type_of(value: onnx.ValueInfoProto) -> np.dtype[Any]:
    """Return the type of an input."""
    dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return dtype


def as_input(array: NDArray[Any], value: onnx.ValueInfoProto) -> NDArray[Any]:
    """Return an array in the type of an input, rounded where that holds whole numbers."""
    dtype = type_of(value)
    if dtype.kind in "iu" and array.dtype.kind == "f":
        limits = np.iinfo(dtype)
        array = np.clip(np.rint(array), limits.min, limits.max)
    return np.ascontiguousarray(array, dtype=dtype)
