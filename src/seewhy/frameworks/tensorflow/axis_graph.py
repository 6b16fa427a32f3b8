"""The operations of a traced TensorFlow graph, with labels for their axes."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, final

import numpy as np
import tensorflow as tf

from seewhy.frameworks.attention_maps import AxisGraph
from seewhy.frameworks.axis_labels import (
    Labels,
    OperationAxes,
    elementwise_axes,
    moved_axes,
    reduced_axes,
    reshaped_axes,
)
from seewhy.frameworks.dataflow import Operation
from seewhy.frameworks.tensorflow.operation_types import CONVOLUTIONS, PRODUCTS, SHAPES
from seewhy.types import NativeTensor

NAMES = {
    "Softmax": "softmax",
    "Exp": "exp",
    "Sum": "sum",
    "RealDiv": "divide",
    "Sub": "subtract",
    "Add": "add",
    "AddV2": "add",
    "Log": "log",
    "Identity": "same",
    "Cast": "same",
    "StopGradient": "same",
    "Reshape": "reshape",
    "ExpandDims": "reshape",
    "Squeeze": "reshape",
}
"""The names of `AxisGraph.kind`, by the type of the operation."""

REDUCTIONS = {"Sum", "Mean", "Max", "Min", "Prod", "All", "Any"}

ALL_AXES_NEW = {"ScatterNd", "TensorListStack", "TensorListGetItem", "TensorListFromTensor", "SpaceToBatchND"}
"""Operations whose result has other axes than their operands, though as many."""


@final
class TensorflowAxisGraph(AxisGraph):
    """A traced graph.

    Args:
        graph: A graph that holds the model.
        inputs: The model's inputs in it.
    """

    def __init__(self, graph: Any, inputs: Iterable[NativeTensor]) -> None:
        self._graph = graph
        self._operations = [operation for operation in graph.get_operations() if _has_ranks(operation)]
        self._inputs = {tensor.ref() for tensor in inputs}
        self._data = set(self._inputs)
        for operation in graph.get_operations():  # producers come before consumers
            if operation.type not in SHAPES and any(tensor.ref() in self._data for tensor in operation.inputs):
                self._data.update(tensor.ref() for tensor in operation.outputs)
        self._axes: dict[Any, OperationAxes | None] = {}

    def flow(self) -> list[Operation]:
        return [
            Operation([tensor.ref() for tensor in each.inputs], [tensor.ref() for tensor in each.outputs])
            for each in self._graph.get_operations()
        ]

    def reference(self, tensor: NativeTensor) -> Hashable:
        reference: Hashable = tensor.ref()
        return reference

    def operations(self) -> Iterable[Any]:
        return self._operations

    def producer(self, tensor: NativeTensor) -> Any:
        return None if tensor.ref() in self._inputs or not _has_ranks(tensor.op) else tensor.op

    def consumers(self, tensor: NativeTensor) -> Iterable[Any]:
        return [operation for operation in tensor.consumers() if operation.outputs and _has_ranks(operation)]

    def operands(self, operation: Any) -> Sequence[NativeTensor]:
        operands: Sequence[NativeTensor] = operation.inputs
        return operands

    def results(self, operation: Any) -> Sequence[NativeTensor]:
        first = operation.outputs[0]
        return [tensor for tensor in operation.outputs if tensor.shape.rank == first.shape.rank]

    def shape(self, tensor: NativeTensor) -> tuple[int | None, ...]:
        return tuple(tensor.shape)

    def kind(self, operation: Any) -> str:
        kind: str = NAMES.get(operation.type, operation.type)
        return kind

    def is_data(self, tensor: NativeTensor) -> bool:
        return tensor.ref() in self._data

    def axes(self, operation: Any) -> OperationAxes | None:
        if operation not in self._axes:
            self._axes[operation] = self._read_axes(operation)
        return self._axes[operation]

    def _read_axes(self, operation: Any) -> OperationAxes | None:
        kind, operands, result = operation.type, operation.inputs, tuple(operation.outputs[0].shape)
        if not operands or kind in ALL_AXES_NEW:
            return None
        if kind == "Einsum":
            return _einsum_axes(operation)
        if kind in PRODUCTS:
            return _matrix_product_axes(operation)
        if kind in CONVOLUTIONS:
            return _convolution_axes(operation)
        axes = self._moving_axes(operation, tuple(operands[0].shape), result)
        if axes is not None:
            return _padded(axes, len(operands))
        if NAMES.get(kind) == "reshape" or kind in {"Transpose", "StridedSlice", "GatherV2", *REDUCTIONS}:
            return None
        tensors = [tensor for tensor in operands if tensor.dtype.is_floating or tensor.dtype == tf.bool]
        axes = elementwise_axes([tuple(tensor.shape) for tensor in tensors], result)
        if axes is None:
            return None
        labels = iter(axes.operands)
        known = {tensor.ref() for tensor in tensors}
        return OperationAxes(tuple(next(labels) if tensor.ref() in known else () for tensor in operands), axes.result)

    def _moving_axes(self, operation: Any, operand: Any, result: Any) -> OperationAxes | None:
        """Return the labels of an operation that moves, merges, selects or sums axes of its first operand."""
        kind = operation.type
        if NAMES.get(kind) == "reshape":
            return reshaped_axes(operand, result)
        if kind == "Unpack":
            axis = operation.get_attr("axis") % len(operand)
            return OperationAxes((tuple(range(len(operand))),), tuple(i for i in range(len(operand)) if i != axis))
        if kind == "StridedSlice":
            return _slice_axes(operation, len(operand), len(result))
        if kind not in {"Transpose", "GatherV2", *REDUCTIONS}:
            return None
        numbers = self._constant(operation.inputs[2 if kind == "GatherV2" else 1])
        if numbers is None:
            return None
        if kind == "Transpose":
            return moved_axes(list(map(int, np.ravel(numbers))))
        if kind == "GatherV2":
            return _gather_axes(operation, int(numbers) % len(operand))
        return reduced_axes(len(operand), list(map(int, np.ravel(numbers))), keeps=operation.get_attr("keep_dims"))

    def _constant(self, tensor: NativeTensor) -> Any:
        """Return the value of a tensor that is computed from constants; None for any other."""
        value = tf.get_static_value(tensor)
        if value is not None or not _is_constant(tensor):
            return value
        with tf.compat.v1.Session(graph=self._graph) as session:
            return session.run(tensor)


def _is_constant(tensor: NativeTensor) -> bool:
    """Whether a tensor is computed from constants alone."""
    visited, pending = {tensor.op}, [tensor.op]
    while pending:
        operation = pending.pop()
        producers = {operand.op for operand in operation.inputs} | {*operation.control_inputs}
        if operation.op_def.is_stateful or not (producers or operation.type == "Const"):
            return False
        pending += producers - visited
        visited |= producers
    return True


def _has_ranks(operation: Any) -> bool:
    """Whether the number of axes is known of all that an operation reads and computes."""
    tensors = [*operation.inputs, *operation.outputs]
    return bool(operation.outputs) and all(tensor.shape.rank is not None for tensor in tensors)


def _padded(axes: OperationAxes, count: int) -> OperationAxes:
    """Return labels with those of further operands, which are shapes or indices."""
    return OperationAxes((*axes.operands, *((),) * (count - len(axes.operands))), axes.result)


def _matrix_product_axes(operation: Any) -> OperationAxes:
    names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    is_transposed = [operation.get_attr(name) for name in names]
    rank = len(operation.outputs[0].shape)
    ends: list[list[Any]] = [["rows", "summed"], ["summed", "columns"]]
    operands: list[Labels] = []
    for tensor, end, transposed in zip(operation.inputs, ends, is_transposed, strict=True):
        shape = tuple(tensor.shape)
        outer = range(rank - len(shape), rank - 2)
        repeated = [shape[i] == 1 and operation.outputs[0].shape[axis] != 1 for i, axis in enumerate(outer)]
        labels = [("one", axis) if alone else axis for axis, alone in zip(outer, repeated, strict=True)]
        operands.append((*labels, *(reversed(end) if transposed else end)))
    return OperationAxes(tuple(operands), (*range(rank - 2), "rows", "columns"), is_product=True)


def _einsum_axes(operation: Any) -> OperationAxes | None:
    terms, _, result = operation.get_attr("equation").decode().replace(" ", "").partition("->")
    operands = []
    rank = len(operation.outputs[0].shape)
    dots = rank - len(result.replace("...", ""))
    for term, tensor in zip(terms.split(","), operation.inputs, strict=True):
        repeated = len(tensor.shape) - len(term.replace("...", ""))
        operands.append(_term_labels(term, range(dots - repeated, dots)))
    return OperationAxes(tuple(operands), _term_labels(result, range(dots)), is_product=len(operands) == 2)


def _term_labels(term: str, dots: Iterable[int]) -> Labels:
    """Return the labels of one term of an einsum's equation, where "..." stands for the axes `dots`."""
    before, ellipsis, after = term.partition("...")
    return (*before, *(dots if ellipsis else ()), *after)


def _convolution_axes(operation: Any) -> OperationAxes:
    rank = len(operation.outputs[0].shape)
    is_first = operation.get_attr("data_format").startswith(b"NC")
    space = tuple(("space", axis) for axis in range(rank - 2))
    kernel = tuple(("kernel", axis) for axis in range(rank - 2))
    if operation.type == "DepthwiseConv2dNative":
        into, of, weights = "channels", "channels", (*kernel, "channels", "multiplier")
    else:
        into, of, weights = "in", "out", (*kernel, "in", "out")

    def labels(channels: str) -> Labels:
        return ("images", channels, *space) if is_first else ("images", *space, channels)

    return OperationAxes((labels(into), weights), labels(of), is_product=True)


def _slice_axes(operation: Any, operand: int, result: int) -> OperationAxes | None:
    """Return the labels of a strided slice, whose masks say which axes it drops and adds."""
    masks = ("shrink_axis_mask", "new_axis_mask", "ellipsis_mask")
    dropped, new, ellipsis = (operation.get_attr(mask) for mask in masks)
    count = operation.inputs[1].shape[0]
    if count is None:
        return None
    labels: list[Any] = []
    axis = 0
    for position in range(count):
        if ellipsis >> position & 1:
            later = sum(not new >> place & 1 for place in range(position + 1, count))
            labels += range(axis, operand - later)
            axis = operand - later
        elif new >> position & 1:
            labels.append(("new", position))
        else:
            labels += [] if dropped >> position & 1 else [axis]
            axis += 1
    labels += range(axis, operand)
    return OperationAxes((tuple(range(operand)),), tuple(labels)) if len(labels) == result else None


def _gather_axes(operation: Any, axis: int) -> OperationAxes | None:
    """Return the labels of a gather along an axis: one index drops it, a list of indices keeps it."""
    rank, indices = len(operation.inputs[0].shape), operation.inputs[1].shape.rank
    if operation.get_attr("batch_dims") != 0:
        return None
    chosen = [axis] if indices == 1 else [("index", place) for place in range(indices)]
    return OperationAxes((tuple(range(rank)),), (*range(axis), *chosen, *range(axis + 1, rank)))
