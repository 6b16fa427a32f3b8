"""Along which axis a value has its images, in a model that takes one number of images only.

In other models, shapes for two numbers of images tell. Here the axis is followed from the inputs, and where that fails
it is the only one of that size.
"""

from typing import final

import onnx

from seewhy.frameworks.onnx.axis_graph import OnnxAxisGraph
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.layouts import CHANNELS_FIRST


def followed_image_axes(graph: Graph, images: int) -> dict[str, int | None]:
    """Return the axis of the images of each value that depends on the input and whose shape is known.

    Args:
        graph: The model.
        images: The number of images that it takes.
    """
    return _ImageAxes(graph, images).found


@final
class _ImageAxes:
    def __init__(self, graph: Graph, images: int) -> None:
        self._graph, self._images, self._labels = graph, images, OnnxAxisGraph(graph)
        self._is_sure = set(graph.inputs)
        self.found: dict[str, int | None] = dict.fromkeys(graph.inputs, 0)
        for node in graph.nodes:
            for name in node.output:
                if name in graph.dependent and graph.shape(name) is not None:
                    self.found[name] = self._axis(node, name)

    def _axis(self, node: onnx.NodeProto, name: str) -> int | None:
        shape = self._graph.shape(name) or ()
        axis = self._followed(node, len(shape))
        if axis is not None and shape[axis] == self._images:
            self._is_sure.add(name)
            return axis
        same = [place for place, size in enumerate(shape) if size == self._images]
        return same[0] if len(same) == 1 or (same[:1] == [0] and node.op_type in CHANNELS_FIRST) else None

    def _followed(self, node: onnx.NodeProto, rank: int) -> int | None:
        """Return the axis that the node's operands tell; None where they do not."""
        if node.op_type == "Concat":  # also of constants whose shapes are not known
            return next((self.found[value] for value in node.input if value in self._is_sure), None)
        axes = self._labels.axes_of(node)
        if axes is None or len(self._graph.shape(node.output[0]) or ()) != rank:
            return None
        for value, labels in zip(node.input, axes.operands, strict=False):
            given = self.found.get(value)
            if given is not None and labels and value in self._is_sure:
                places = [axis for axis, label in enumerate(axes.result) if label == labels[given]]
                sizes = [(self._graph.shape(node.output[0]) or ())[place] for place in places]
                if sizes.count(self._images) == 1:
                    return places[sizes.index(self._images)]
                if sizes[:1] == [self._images] and places[0] == given == 0:
                    return 0  # the outermost axis stays so, whatever is split off the next ones
        return None
