"""The types and shapes of a model's values, inferred without running it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx

BATCH = "seewhy_batch"
"""The symbol of the number of images."""

LARGE = 1024
"""Initializers of more values than this are no shapes or axes: shape inference runs without their values."""

Shape = tuple[int | None, ...]
"""A shape, with None for sizes that vary with the number of images."""


class ValueInfo(NamedTuple):
    """What is known of a value.

    Attributes:
        dtype: Its type.
        shape: Its shape, with None for the number of images; None where a size is not known.
    """

    dtype: np.dtype[Any]
    shape: Shape | None


def infer_values(model: onnx.ModelProto, input_shapes: Mapping[str, Shape]) -> dict[str, ValueInfo]:
    """Return what is known of each value, for inputs of these shapes."""
    inferred = onnx.shape_inference.infer_shapes(_without_weights(model, input_shapes), data_prop=True)
    graph = inferred.graph
    return {
        value.name: _value_info(value) for value in (*graph.input, *graph.value_info, *graph.output) if _is_tensor(value)
    }


def _without_weights(model: onnx.ModelProto, input_shapes: Mapping[str, Shape]) -> onnx.ModelProto:
    """Return the model with inputs of these shapes, and with its weights as inputs: copying them takes long."""
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
    for value in model.graph.input:
        if value.name not in names:
            kind = value.type.tensor_type.elem_type
            shape = [BATCH if size is None else size for size in input_shapes[value.name]]
            graph.input.append(onnx.helper.make_tensor_value_info(value.name, kind, shape))
    for value in model.graph.output:  # without their declared shapes, whose symbols may contradict those of the inputs
        graph.output.append(onnx.helper.make_empty_tensor_value_info(value.name))
    return light


def _is_tensor(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type != onnx.TensorProto.UNDEFINED


def _value_info(value: onnx.ValueInfoProto) -> ValueInfo:
    kind = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if not kind.HasField("shape"):
        return ValueInfo(dtype, None)
    shape: list[int | None] = []
    for size in kind.shape.dim:
        if size.HasField("dim_value"):
            shape.append(int(size.dim_value))
        elif size.dim_param == BATCH:
            shape.append(None)
        else:
            return ValueInfo(dtype, None)
    return ValueInfo(dtype, tuple(shape))
