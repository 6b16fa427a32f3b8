"""Along which axis the channels of a value lie.

Convolutions, pooling and normalizations of ONNX have their channels first, (N, K, *space); products with weights have
them last. Through any other node they are followed by the labels of the axes.
"""

import onnx

from seewhy.frameworks.axis_labels import OperationAxes, Shape
from seewhy.frameworks.onnx.axis_graph import OnnxAxisGraph
from seewhy.frameworks.onnx.graph import Graph

CHANNELS_FIRST = {
    *("Conv", "ConvInteger", "ConvTranspose", "QLinearConv", "DeformConv", "FusedConv", "NhwcConv"),
    *("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace", "SpaceToDepth"),
}
"""Operators with channels along the second axis."""

NORMALIZATIONS = {"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization"}
"""Operators with channels along the last axis, where they normalize no other."""


def channel_axes(graph: Graph, *, channels_first: bool) -> dict[str, int]:
    """Return the axis of the channels of each value that depends on the input and whose shape is known.

    Values without channels, such as the attention between positions, have no entry.

    Args:
        graph: The model.
        channels_first: Whether images are (N, K, *space).
    """
    return _ChannelAxes(graph, channels_first).found


class _ChannelAxes:
    def __init__(self, graph: Graph, channels_first: bool) -> None:
        self._graph, self._labels = graph, OnnxAxisGraph(graph)
        self._sources: dict[str, str] = {}
        self.found: dict[str, int] = {}
        for name in graph.inputs:
            if len(shape := graph.shape(name) or ()) > 1:
                self.found[name] = 1 if channels_first else len(shape) - 1
        for node in graph.nodes:
            for name in node.output:
                shape = graph.shape(name) or ()
                if name in graph.dependent and len(shape) > 1:
                    axis = self._axis(node, name, shape)
                    if axis is not None:
                        self.found[name] = axis

    def _axis(self, node: onnx.NodeProto, name: str, shape: Shape) -> int | None:
        rank, operator = len(shape), node.op_type
        data = [value for value in node.input if value in self._graph.dependent]
        given = [value for value in data if value in self.found]
        if given:
            self._sources[name] = given[0]
        if operator in CHANNELS_FIRST:
            return 1
        if operator == "Gemm" or (operator in NORMALIZATIONS and _normalizes_last(node, rank)):
            return rank - 1
        if operator == "MatMul" and data == [node.input[0]]:
            return rank - 1
        followed = self._followed(node, name, shape, given)
        if followed is not None:
            return followed
        if operator == "MatMul" and len(data) == 2:
            return None  # of all channels the sum
        same_rank = [value for value in given if len(self._graph.shape(value) or ()) == rank]
        if same_rank:
            return self.found[same_rank[0]]
        has_none = not given and any(len(self._graph.shape(value) or ()) > 1 for value in data)
        return None if has_none else rank - 1

    def _followed(self, node: onnx.NodeProto, name: str, shape: Shape, given: list[str]) -> int | None:
        """Follow the channels of the operands by the labels of their axes; None where they do not tell."""
        axes = self._labels.axes_of(node)
        if axes is None or len(self._graph.shape(node.output[0]) or ()) != len(shape):
            return None
        for value, labels in zip(node.input, axes.operands, strict=False):
            if value in given and labels:
                label = labels[self.found[value]]
                places = [axis for axis, other in enumerate(axes.result) if other == label]
                if places:
                    return places[0] if len(places) == 1 else self._among(value, name, shape, places)
        return _new_channels(node, axes, given)

    def _among(self, given: str, name: str, shape: Shape, places: list[int]) -> int:
        """Choose between axes into which a reshape has split the channels, alone or with others."""
        before, axis = self._graph.shape(given) or (), self.found[given]
        for place in places:
            same_start = _product(before[:axis]) == _product(shape[:place])
            if shape[place] == before[axis] and same_start and before[:axis].count(None) == shape[:place].count(None):
                return place
        source: str | None = given
        while source is not None:  # what was reshaped before has the same channels when it is reshaped back
            if self._graph.shape(source) == shape:
                return self.found[source]
            source = self._sources.get(source)
        return places[-1]


def _new_channels(node: onnx.NodeProto, axes: OperationAxes, given: list[str]) -> int | None:
    """Return the axis that a product gets from weights, where it sums over the channels."""
    if not axes.is_product or len(given) != 1 or len(node.input) != 2:
        return None
    data, weights = axes.operands if node.input[0] == given[0] else axes.operands[::-1]
    new = [axis for axis, label in enumerate(axes.result) if label in weights and label not in data]
    return new[0] if len(new) == 1 else None


def _normalizes_last(node: onnx.NodeProto, rank: int) -> bool:
    """Whether a node normalizes the last axis alone."""
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
    return axis % rank == rank - 1


def _product(sizes: Shape) -> int:
    product = 1
    for size in sizes:
        product *= 1 if size is None else size
    return product
