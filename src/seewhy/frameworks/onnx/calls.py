"""The values of a model as calls of layers."""

import onnx

from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.onnx.graph import AI_ONNX, Graph
from seewhy.frameworks.onnx.layouts import channel_axes

POOLING = {
    *("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceLogSumExp"),
}

PASS_THROUGH = {"Identity", "Dropout", "Cast"}

COMPUTING = {
    *("Conv", "ConvTranspose", "FusedConv", "DeformConv", "QLinearConv", "ConvInteger", "QLinearAdd"),
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"),
    *("SkipLayerNormalization", "SimplifiedLayerNormalization", "LRN"),
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Clip", "HardSwish", "Swish", "Gelu", "FastGelu", "Mish"),
    *("QuickGelu", "BiasGelu", "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Shrink"),
}
"""Operators that compute features at each position."""

COMBINING = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Where", "Concat"}
"""Operators that combine several values at each position."""

OBSTACLE = "has its images along an axis that other values share"


def value_calls(graph: Graph, *, channels_first: bool) -> tuple[LayerCall, ...]:
    """Return a call for each value that a layer would compute, in the order in which they are computed."""
    axes = channel_axes(graph, channels_first=channels_first)
    calls: list[LayerCall] = []
    paths: set[str] = set()
    for node in graph.nodes:
        for name in node.output:
            if name in graph.dependent and graph.is_float(name):
                calls.append(_call(graph, node, name, axes, len(calls) + 1, paths))
                paths.add(name)
    return tuple(calls)


def _call(
    graph: Graph, node: onnx.NodeProto, name: str, axes: dict[str, int], execution: int, paths: set[str]
) -> LayerCall:
    shape, images = graph.shape(name), graph.image_axis(name)
    is_second = images == 1 and shape is not None and len(shape) == 3
    is_reached = shape is not None and len(shape) > 1 and (images == 0 or is_second)
    channels = axes.get(name, -1)
    layout = None
    if is_reached and shape is not None:
        space = (size for axis, size in enumerate(shape) if axis not in (images, channels))
        layout = (*space, shape[channels])
    return LayerCall(
        path=name,
        kind=node.op_type,
        shape=layout,
        is_pooling=node.op_type in POOLING,
        is_pass_through=node.op_type in PASS_THROUGH,
        number=1,
        execution=execution,
        given=tuple(value for value in node.input if value in paths or value in graph.inputs),
        channels_first=channels == 1 and shape is not None and not is_second and (len(shape) > 2),
        images_second=is_second,
        is_auxiliary=not _computes_features(graph, node, name, axes),
        obstacle="" if is_reached or shape is None or len(shape) < 2 else OBSTACLE,
    )


def _computes_features(graph: Graph, node: onnx.NodeProto, name: str, axes: dict[str, int]) -> bool:
    """Whether "auto" may take a value.

    It may not take what only moves, casts or scales another value, nor products such as those of queries and keys.
    """
    operator = node.op_type
    if node.domain not in (*AI_ONNX, "com.microsoft"):
        return False
    if operator in COMPUTING or operator in POOLING:
        return True
    if operator == "MatMul":
        return _has_weights(graph, node) and not any(_adds_bias(graph, after) for after in graph.consumers(name))
    if operator == "Gemm":
        return _has_weights(graph, node)
    if operator == "Concat":
        shape = graph.shape(name)
        axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
        return shape is not None and axis % len(shape) == axes.get(name)
    if operator not in COMBINING:
        return False
    return len({value for value in node.input if value in graph.dependent}) > 1 or _adds_bias(graph, node)


def _has_weights(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a product of matrices is one of a value and weights."""
    return sum(value in graph.dependent for value in node.input[:2]) == 1


def _adds_bias(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a node adds the bias of a dense layer to its product."""
    if node.op_type != "Add":
        return False
    values = [value for value in node.input if value in graph.dependent]
    if len(values) != 1:
        return False
    before = graph.producer(values[0])
    bias = graph.shape(next(value for value in node.input if value != values[0]))
    return (
        before is not None
        and before.op_type == "MatMul"
        and _has_weights(graph, before)
        and bias != ()
        and bias is not None
    )
