"""Along which axis the channels of a value lie.

Convolutions, pooling and normalizations of ONNX have their channels first, (N, K, *space); products of matrices and
layer normalizations have them last. Other values inherit the layout of what they are computed from.
"""

import onnx

from seewhy.frameworks.onnx.graph import AI_ONNX, Graph

CHANNELS_FIRST = {
    *("Conv", "ConvInteger", "ConvTranspose", "QLinearConv", "DeformConv", "FusedConv", "NhwcConv"),
    *("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace", "SpaceToDepth"),
}
"""Operators with channels along the second axis."""

CHANNELS_LAST = {"MatMul", "Gemm", "LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization"}
"""Operators with channels along the last axis."""

RESHAPING = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}


def channel_axes(graph: Graph, *, channels_first: bool) -> dict[str, int]:
    """Return the axis of the channels of each value that depends on the input and whose shape is known.

    Args:
        graph: The model.
        channels_first: Whether images are (N, K, *space).
    """
    axes: dict[str, int] = {}
    for name in graph.inputs:
        if (shape := graph.shape(name)) is not None and len(shape) > 1:
            axes[name] = 1 if channels_first else len(shape) - 1
    for node in graph.nodes:
        for name in node.output:
            shape = graph.shape(name)
            if name in graph.dependent and shape is not None and len(shape) > 1:
                axes[name] = _channel_axis(graph, node, len(shape), name, axes)
    return axes


def _channel_axis(graph: Graph, node: onnx.NodeProto, rank: int, name: str, axes: dict[str, int]) -> int:
    if node.op_type in CHANNELS_FIRST:
        return 1
    if node.op_type in CHANNELS_LAST:
        return rank - 1
    given = next((value for value in node.input if value in axes), None)
    if given is None:
        return rank - 1
    if node.op_type == "Transpose" and node.domain in AI_ONNX:
        order = next((list(attribute.ints) for attribute in node.attribute), list(range(rank))[::-1])
        return order.index(axes[given])
    if node.op_type in RESHAPING:
        return _after_reshape(graph, given, name, axes[given])
    same_rank = [value for value in node.input if value in axes and len(graph.shape(value) or ()) == rank]
    return axes[same_rank[0]] if same_rank else rank - 1


def _after_reshape(graph: Graph, given: str, name: str, axis: int) -> int:
    """Follow the channels through a reshape: they are along the axis of the same size that as many values precede."""
    before, after = graph.shape(given) or (), graph.shape(name) or ()
    first = sum(size is None for size in before[:axis]), _product(before[:axis])
    for candidate in range(1, len(after)):
        same = sum(size is None for size in after[:candidate]), _product(after[:candidate])
        if after[candidate] == before[axis] and same == first:
            return candidate
    return len(after) - 1


def _product(sizes: tuple[int | None, ...]) -> int:
    product = 1
    for size in sizes:
        product *= 1 if size is None else size
    return product
