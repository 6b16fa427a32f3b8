"""Small values that a model computes from nothing but shapes and constants, such as where a slice starts.

Exporters write such computations where a shape was not known to them. It is known here, but for the number of images.
"""

from typing import Any, final

import numpy as np
import onnx
from numpy.typing import NDArray

from seewhy.frameworks.onnx.graph import AI_ONNX, Graph
from seewhy.frameworks.onnx.shapes import COUNTS

LARGEST = 4096
"""The number of elements up to which a value is computed."""

COMPUTED = frozenset(
    (
        *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Floor", "Ceil", "Cast", "Equal", "Less"),
        *("Greater", "Not", "And", "Or", "Where", "Gather", "Concat", "Split", "Slice", "Squeeze", "Unsqueeze"),
        *("Reshape", "Transpose", "Flatten", "Expand", "Tile", "Range", "ConstantOfShape", "Identity", "ReduceProd"),
        *("ReduceSum", "ScatterND", "ScatterElements", "Size", "Shape"),
    )
)
"""The operators with which shapes are computed."""


@final
class KnownValues:
    """Computes values of a graph that do not depend on what its inputs hold.

    Args:
        graph: The model.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._found: dict[tuple[str, int], NDArray[Any] | None] = {}

    def get(self, name: str) -> NDArray[Any] | None:
        """Return a value that is the same for any images and any number of them; None for others."""
        constant = self._graph.constant(name)
        if constant is not None:
            return constant
        first, second = (self._for_count(name, count) for count in COUNTS)
        return first if first is not None and second is not None and np.array_equal(first, second) else None

    def _for_count(self, name: str, count: int) -> NDArray[Any] | None:
        """Return a value for a number of images."""
        key = name, count
        if key not in self._found:
            constant = self._graph.constant(name)
            self._found[key] = self._compute(name, count) if constant is None else constant
        return self._found[key]

    def _compute(self, name: str, count: int) -> NDArray[Any] | None:
        node = self._graph.producer(name)
        if node is None or node.domain not in AI_ONNX or node.op_type not in COMPUTED:
            return None
        if node.op_type in ("Shape", "Size"):
            shape = self._shape(node.input[0], count)
            return None if shape is None else self._run(node, [np.broadcast_to(np.int8(0), shape)])[name]
        inputs = [self._for_count(given, count) for given in node.input if given]
        known = [value for value in inputs if value is not None and value.size <= LARGEST]
        if len(known) < len(inputs):
            return None
        result = self._run(node, known)[name]
        return result if result.size <= LARGEST else None

    def _shape(self, name: str, count: int) -> tuple[int, ...] | None:
        """Return the shape of a value for a number of images; None if it is not known."""
        shape, axis = self._graph.shape(name), self._graph.image_axis(name)
        sizes = [count if size is None and index == axis else size for index, size in enumerate(shape or ())]
        known = [size for size in sizes if size is not None]
        return None if shape is None or len(known) < len(shape) else tuple(known)

    def _run(self, node: onnx.NodeProto, inputs: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run one node by the reference implementation of ONNX."""
        from onnx.reference import ReferenceEvaluator  # imported late: most models need none of it

        names = [name for name in node.input if name]
        outputs = ReferenceEvaluator(node, opsets={"": self._graph.opset}).run(
            None, dict(zip(names, inputs, strict=True))
        )
        return {name: np.asarray(output) for name, output in zip(node.output, outputs, strict=True)}
