"""The nodes of an ONNX model, with labels for the axes of their values."""

from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np
import onnx

from seewhy.frameworks.attention_maps import AxisGraph
from seewhy.frameworks.axis_labels import (
    Labels,
    OperationAxes,
    Shape,
    elementwise_axes,
    moved_axes,
    reduced_axes,
    reshaped_axes,
)
from seewhy.frameworks.dataflow import Operation
from seewhy.frameworks.onnx.graph import AI_ONNX, Graph, reads

RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}

NAMES = {
    "Softmax": "softmax",
    "Exp": "exp",
    "ReduceSum": "sum",
    "Div": "divide",
    "Sub": "subtract",
    "Add": "add",
    "Sum": "add",
    "Log": "log",
    "Abs": "abs",
    **dict.fromkeys(("Identity", "Cast", "CastLike", "Dropout", "Expand"), "same"),
    **dict.fromkeys(RESHAPES, "reshape"),
}
"""The names of `AxisGraph.kind`, by the operator."""

SHAPES = {"Shape", "Size"}
"""Operators whose result does not depend on the values of their operand."""

MATRIX_PRODUCTS = {"MatMul", "Gemm", "FusedMatMul"}

CONVOLUTIONS = {"Conv", "ConvTranspose", "FusedConv"}

FIRST_ALONE = {
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"),
    *("SimplifiedLayerNormalization", "LRN", "Dropout", "Clip", "Pad", "Slice", "Split", "Expand", "Tile", "Resize"),
    *("Upsample", "CumSum", "Trilu", "MaxPool", "AveragePool", "LpPool"),
    *("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
}
"""Operators whose result has the axes of their first operand, in part padded, cut, repeated or pooled."""

AXES_UNKNOWN = {
    *("GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND", "TopK", "NonZero", "OneHot", "Compress"),
    *("DepthToSpace", "SpaceToDepth", "LSTM", "GRU", "RNN", "If", "Loop", "Scan", "SequenceAt", "Unique", "Col2Im"),
    *("GridSample", "RoiAlign", "AffineGrid", "DFT", "STFT", "Det", "NonMaxSuppression", "Range", "ConstantOfShape"),
}
"""Operators whose result has other axes than their operands, though perhaps as many."""


@final
class OnnxAxisGraph(AxisGraph):
    """A model's nodes. Values are given by their names.

    Args:
        graph: The model.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._data = set(graph.inputs)
        for node in graph.nodes:
            if node.op_type not in SHAPES and not self._data.isdisjoint(reads(node)):
                self._data.update(name for name in node.output if name)

    def flow(self) -> list[Operation]:
        return [Operation(list(reads(node)), list(node.output)) for node in self._graph.nodes]

    def operations(self) -> Iterable[onnx.NodeProto]:
        return [node for node in self._graph.nodes if self._has_ranks(node)]

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        node = self._graph.producer(tensor)
        return node if node is not None and self._has_ranks(node) else None

    def consumers(self, tensor: str) -> Iterable[onnx.NodeProto]:
        return [node for node in self._graph.consumers(tensor) if self._has_ranks(node)]

    def operands(self, operation: onnx.NodeProto) -> Sequence[str]:
        return list(operation.input)

    def results(self, operation: onnx.NodeProto) -> Sequence[str]:
        rank = len(self.shape(operation.output[0]))
        return [name for name in operation.output if name and len(self._graph.shape(name) or ()) == rank]

    def shape(self, tensor: str) -> Shape:
        return self._graph.shape(tensor) or ()

    def kind(self, operation: onnx.NodeProto) -> str:
        kind = str(operation.op_type)
        return NAMES.get(kind, kind) if operation.domain in AI_ONNX else kind

    def softmax_axes(self, operation: onnx.NodeProto) -> frozenset[int]:
        rank = len(self.shape(operation.output[0]))
        if self._graph.opset < 13:  # over all axes from this one on
            return frozenset(range(_attribute(operation, "axis", 1) % rank, rank))
        return frozenset({_attribute(operation, "axis", -1) % rank})

    def is_data(self, tensor: str) -> bool:
        return tensor in self._data

    def is_same(self, first: str, second: str) -> bool:
        return first == second

    def axes_of(self, node: onnx.NodeProto) -> OperationAxes | None:
        """Return the labels of any node; None where they are not known."""
        return self.axes(node) if self._has_ranks(node) else None

    def axes(self, operation: onnx.NodeProto) -> OperationAxes | None:
        kind, operands, result = operation.op_type, operation.input, self.shape(operation.output[0])
        if not operands or kind in AXES_UNKNOWN or kind in SHAPES:
            return None
        if kind == "Einsum":
            return self._einsum_axes(operation)
        if kind in MATRIX_PRODUCTS:
            return self._matrix_product_axes(operation)
        if kind in CONVOLUTIONS:
            return self._convolution_axes(operation)
        if kind in RESHAPES or kind in FIRST_ALONE or kind in {"Transpose", "Gather"} or kind.startswith(REDUCTIONS):
            axes = self._axes_of_first(operation, self.shape(operands[0]), result)
            return None if axes is None else OperationAxes((*axes.operands, *((),) * (len(operands) - 1)), axes.result)
        return elementwise_axes([self.shape(tensor) for tensor in operands], result)

    def _axes_of_first(self, operation: onnx.NodeProto, operand: Shape, result: Shape) -> OperationAxes | None:
        """Return the labels of a node that moves, merges, selects, repeats or reduces axes of its first operand."""
        kind, rank = operation.op_type, len(operand)
        if kind in RESHAPES:
            return reshaped_axes(operand, result)
        if kind == "Transpose":
            return moved_axes(_attribute(operation, "perm", [*range(rank)][::-1]))
        if kind == "Gather":
            axis, indices = _attribute(operation, "axis", 0) % rank, len(self.shape(operation.input[1]))
            chosen = [axis] if indices == 1 else [("index", place) for place in range(indices)]
            return OperationAxes((tuple(range(rank)),), (*range(axis), *chosen, *range(axis + 1, rank)))
        if kind in FIRST_ALONE:
            return elementwise_axes([operand], result)
        axes = self._reduced_axes(operation, rank)
        keeps = bool(_attribute(operation, "keepdims", 1))
        return None if axes is None else reduced_axes(rank, axes, keeps=keeps)

    def _reduced_axes(self, operation: onnx.NodeProto, rank: int) -> Sequence[int] | None:
        """Return the axes over which a node reduces; None where the model computes them."""
        if operation.op_type.startswith("Arg"):
            return [_attribute(operation, "axis", 0)]
        axes = _attribute(operation, "axes", None)
        if axes is None and len(operation.input) > 1 and operation.input[1]:
            axes = self._graph.constant(operation.input[1])
            return None if axes is None else [int(axis) for axis in np.ravel(axes)]
        if axes is None:
            return [] if _attribute(operation, "noop_with_empty_axes", 0) else [*range(rank)]
        return list(axes)

    def _matrix_product_axes(self, operation: onnx.NodeProto) -> OperationAxes | None:
        if any(_attribute(operation, name, 0) for name in ("transBatchA", "transBatchB")):
            return None
        shapes = [self.shape(tensor) for tensor in operation.input[:2]]
        ends: list[list[Any]] = [["rows", "summed"], ["summed", "columns"]]
        for end, shape, name in zip(ends, shapes, ("transA", "transB"), strict=True):
            if len(shape) == 1:
                del end[end.index("rows" if "rows" in end else "columns")]
            elif _attribute(operation, name, 0):
                end.reverse()
        result = self.shape(operation.output[0])
        last = tuple(label for end in ends for label in end if label != "summed")
        outer = len(result) - len(last)
        operands: list[Labels] = []
        for shape, end in zip(shapes, ends, strict=True):
            batch = range(outer - (len(shape) - len(end)), outer)
            repeated = [shape[place] == 1 and result[axis] != 1 for place, axis in enumerate(batch)]
            labels = [("one", axis) if alone else axis for axis, alone in zip(batch, repeated, strict=True)]
            operands.append((*labels, *end))
        added = [last[len(last) - len(self.shape(tensor)) :] for tensor in operation.input[2:]]
        return OperationAxes((*operands, *added), (*range(outer), *last), is_product=True)

    def _einsum_axes(self, operation: onnx.NodeProto) -> OperationAxes | None:
        equation = _attribute(operation, "equation", b"").decode().replace(" ", "")
        terms, arrow, result = equation.partition("->")
        if not arrow or len(set(result)) < len(result.replace("...", ".")):
            return None
        rank = len(self.shape(operation.output[0]))
        dots = rank - len(result.replace("...", ""))
        operands = []
        for term, tensor in zip(terms.split(","), operation.input, strict=True):
            repeated = len(self.shape(tensor)) - len(term.replace("...", ""))
            operands.append(_term_labels(term, range(dots - repeated, dots)))
        return OperationAxes(tuple(operands), _term_labels(result, range(dots)), is_product=len(operands) == 2)

    def _convolution_axes(self, operation: onnx.NodeProto) -> OperationAxes:
        rank = len(self.shape(operation.output[0]))
        space = tuple(("space", axis) for axis in range(rank - 2))
        kernel = tuple(("kernel", axis) for axis in range(rank - 2))
        into = "out" if _attribute(operation, "group", 1) > 1 else "in"
        weights = ("in", "out", *kernel) if operation.op_type == "ConvTranspose" else ("out", "in", *kernel)
        result = ("images", "out", *space)
        others = [result if len(self.shape(tensor)) == rank else ("out",) for tensor in operation.input[2:]]
        return OperationAxes((("images", into, *space), weights, *others), result, is_product=True)

    def _has_ranks(self, node: onnx.NodeProto) -> bool:
        """Whether the number of axes is known of all that a node reads and of its first result."""
        names = [*(name for name in node.input if name), *node.output[:1]]
        return bool(node.output) and all(self._graph.shape(name) is not None for name in names)


REDUCTIONS = ("Reduce", "ArgMax", "ArgMin")
"""What the names of operators begin with that reduce axes."""


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default


def _term_labels(term: str, dots: Iterable[int]) -> Labels:
    """Return the labels of one term of an einsum's equation, where "..." stands for the axes `dots`."""
    before, ellipsis, after = term.partition("...")
    return (*before, *(dots if ellipsis else ()), *after)
