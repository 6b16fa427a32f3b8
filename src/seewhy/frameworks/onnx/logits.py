"""The logits before a model's final activation, found in its graph."""

import math

import onnx

from seewhy.frameworks.onnx.graph import AI_ONNX, Graph
from seewhy.types import FinalActivation

FINAL_ACTIVATIONS: dict[str, FinalActivation] = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}

ORDER_PRESERVING = {"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout"}
"""Operators that keep the order of the values."""


def bypass_final_activation(graph: Graph, output: str) -> tuple[FinalActivation, str]:
    """Return the final activation before an output, and the value that it is applied to.

    Where the output is a matrix product, it is "logits".
    """
    value = output
    while (node := graph.producer(value)) is not None and node.domain in AI_ONNX:
        if node.op_type in FINAL_ACTIVATIONS:
            activation = FINAL_ACTIVATIONS[node.op_type]
            if activation == "softmax" and not _is_over_classes(graph, node, output):
                return "linear", output
            return activation, node.input[0]
        if node.op_type not in ORDER_PRESERVING or not graph.is_float(node.input[0]):
            break
        value = node.input[0]
    return ("logits" if _is_product(graph, value) else "linear"), output


def _is_product(graph: Graph, value: str) -> bool:
    """Whether a value (N, C) is a matrix product, with or without a bias, of other values than those of a softmax."""
    node = graph.producer(value)
    if node is not None and node.op_type == "Add" and node.domain in AI_ONNX:
        product, bias = sorted(node.input, key=lambda name: name not in graph.dependent)
        node = graph.producer(product) if bias not in graph.dependent else None
    if node is None or node.domain not in AI_ONNX or node.op_type not in ("Gemm", "MatMul"):
        return False
    source: str = next((name for name in node.input if name in graph.dependent), "")
    while (before := graph.producer(source)) is not None and before.op_type in ORDER_PRESERVING:
        source = before.input[0]
    return len(graph.shape(value) or ()) == 2 and (before is None or before.op_type not in FINAL_ACTIVATIONS)


def _is_over_classes(graph: Graph, softmax: onnx.NodeProto, output: str) -> bool:
    """Whether a softmax is over the last axis of an output (N, C); for an output of other axes, whatever it is over."""
    shape, sizes = graph.shape(output), graph.shape(softmax.input[0])
    if shape is None or sizes is None or len(shape) != 2:
        return True
    axis = next((attribute.i for attribute in softmax.attribute if attribute.name == "axis"), None)
    if graph.opset < 13:  # over all axes from this one on
        return _size(sizes[1 if axis is None else axis :]) == shape[1]
    axis = -1 if axis is None else axis
    return sizes[axis] == shape[1] and _size(sizes[axis % len(sizes) + 1 :]) == 1


def _size(sizes: tuple[int | None, ...]) -> int | None:
    return None if None in sizes else math.prod(size for size in sizes if size is not None)
