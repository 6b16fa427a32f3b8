"""The types and shapes of a model's values, inferred without running it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx

COUNTS = (2, 3)
"""The numbers of images for which shapes are inferred. What is the same for both does not depend on their number."""

LARGE = 1024
"""Initializers of more values than this are no shapes or axes: shape inference runs without their values."""

Shape = tuple[int | None, ...]
"""A shape, with None for sizes that vary with the number of images."""


class ValueInfo(NamedTuple):
    """What is known of a value.

    Attributes:
        dtype: Its type.
        shape: Its shape, with None for sizes that vary with the number of images; None where a size is not known.
        image_axis: The axis along which it has one part for each image; None where there is no such axis, or where
            another size varies too.
        per_image: How many parts it has for each image along the only axis whose size varies; None where there is no
            such axis, or where that size is no multiple of the number of images.
    """

    dtype: np.dtype[Any]
    shape: Shape | None
    image_axis: int | None = None
    per_image: int | None = None


def infer_values(model: onnx.ModelProto, input_shapes: Mapping[str, Shape]) -> dict[str, ValueInfo]:
    """Return what is known of each value, for inputs of these shapes; None stands for the number of images."""
    counts = COUNTS if any(None in shape for shape in input_shapes.values()) else (1,)
    light = _without_weights(model)
    inferred = [_infer(light, input_shapes, count) for count in counts]
    infos = {}
    for name, (dtype, first) in inferred[0].items():
        _, second = inferred[-1].get(name, (dtype, None))
        infos[name] = ValueInfo(dtype, *joined(first, second, len(counts) == 1))
    return infos


def joined(
    first: tuple[int, ...] | None, second: tuple[int, ...] | None, is_fixed: bool
) -> tuple[Shape | None, int | None, int | None]:
    """Join the shapes of a value for both `COUNTS` of images into one, and find `image_axis` and `per_image`.

    Args:
        first: Its shape for the first number of images.
        second: For the second number, or the same one where the model takes one number only.
        is_fixed: Whether it takes one number only; the first axis is then that of the images.
    """
    if first is None or second is None or len(first) != len(second):
        return None, None, None
    if is_fixed:
        return first, 0 if first else None, None
    shape = tuple(one if one == two else None for one, two in zip(first, second, strict=True))
    varying = [axis for axis, size in enumerate(shape) if size is None]
    if len(varying) != 1:
        return shape, None, None
    (axis,) = varying
    per_image = second[axis] - first[axis]
    is_multiple = first[axis] == COUNTS[0] * per_image
    return shape, axis if is_multiple and per_image == 1 else None, per_image if is_multiple else None


def with_count(shape: Shape, count: int) -> tuple[int, ...]:
    """Return the shape of an input for a number of images."""
    return tuple(count if size is None else size for size in shape)


def _infer(
    light: onnx.ModelProto, input_shapes: Mapping[str, Shape], count: int
) -> dict[str, tuple[np.dtype[Any], tuple[int, ...] | None]]:
    """Infer types and shapes for a number of images."""
    for value in light.graph.input:
        if value.name in input_shapes:
            sizes = with_count(input_shapes[value.name], count)
            kind = value.type.tensor_type.elem_type
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, sizes))
    graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    return {
        value.name: _type_and_shape(value)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if _is_tensor(value)
    }


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its weights as inputs, for copying them takes long."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = light.graph
    graph.name = "shapes"
    graph.node.extend(model.graph.node)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims, dtype=np.int64) > LARGE:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            graph.initializer.append(tensor)
    names = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(value for value in model.graph.input if value.name not in names)
    # Without the declared shapes of the outputs, whose symbols may contradict those of the inputs.
    graph.output.extend(onnx.helper.make_empty_tensor_value_info(value.name) for value in model.graph.output)
    return light


def _is_tensor(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.HasField("tensor_type") and value.type.tensor_type.elem_type != onnx.TensorProto.UNDEFINED)


def _type_and_shape(value: onnx.ValueInfoProto) -> tuple[np.dtype[Any], tuple[int, ...] | None]:
    kind = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if not kind.HasField("shape") or not all(size.HasField("dim_value") for size in kind.shape.dim):
        return dtype, None
    return dtype, tuple(int(size.dim_value) for size in kind.shape.dim)
