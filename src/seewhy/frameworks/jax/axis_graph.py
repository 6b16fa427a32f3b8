"""The equations of a jaxpr, with labels for the axes of their arrays."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, final

from seewhy.frameworks.attention_maps import AxisGraph
from seewhy.frameworks.axis_labels import (
    OperationAxes,
    elementwise_axes,
    moved_axes,
    reduced_axes,
    reshaped_axes,
)
from seewhy.frameworks.dataflow import Operation
from seewhy.frameworks.jax.trunk_and_head import INLINED, Jaxpr, JaxprEqn, Literal, Var, variables
from seewhy.types import NativeTensor

NAMES = {
    "exp": "exp",
    "reduce_sum": "sum",
    "div": "divide",
    "sub": "subtract",
    "add": "add",
    "log": "log",
    "convert_element_type": "same",
    "copy": "same",
    "stop_gradient": "same",
    "name": "same",
    "broadcast_in_dim": "same",
    "reshape": "reshape",
    "squeeze": "reshape",
}
"""The names of `AxisGraph.kind`, by the primitive of the equation."""

REDUCTIONS = {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin"}

AXES_UNKNOWN = {"gather", "scatter", "sort", "while", "scan", "cond", *INLINED}
"""Primitives whose results may have other axes than their operands, though as many."""


@final
class JaxAxisGraph(AxisGraph):
    """A jaxpr.

    Args:
        jaxpr: The traced model.
        inputs: Its variables that are the model's inputs.
    """

    def __init__(self, jaxpr: Jaxpr, inputs: Iterable[Var]) -> None:
        self._equations = jaxpr.eqns
        self._data = set(inputs)
        self._producers: dict[Any, JaxprEqn] = {}
        self._consumers: defaultdict[Any, list[JaxprEqn]] = defaultdict(list)
        for equation in jaxpr.eqns:
            self._producers.update(dict.fromkeys(equation.outvars, equation))
            for variable in variables(equation):
                self._consumers[variable].append(equation)
            if not self._data.isdisjoint(variables(equation)):
                self._data.update(equation.outvars)

    def flow(self) -> list[Operation]:
        return [Operation(tuple(variables(equation)), equation.outvars) for equation in self._equations]

    def operations(self) -> Iterable[Any]:
        equations: Iterable[JaxprEqn] = self._equations
        return equations

    def producer(self, tensor: NativeTensor) -> Any:
        return None if isinstance(tensor, Literal) else self._producers.get(tensor)

    def consumers(self, tensor: NativeTensor) -> Iterable[Any]:
        return self._consumers[tensor]

    def operands(self, operation: Any) -> Sequence[NativeTensor]:
        operands: Sequence[NativeTensor] = operation.invars
        return operands

    def results(self, operation: Any) -> Sequence[NativeTensor]:
        rank = len(operation.outvars[0].aval.shape)
        return [variable for variable in operation.outvars if len(variable.aval.shape) == rank]

    def shape(self, tensor: NativeTensor) -> tuple[int, ...]:
        return tuple(tensor.aval.shape)

    def kind(self, operation: Any) -> str:
        return NAMES.get(operation.primitive.name, str(operation.primitive.name))

    def is_data(self, tensor: NativeTensor) -> bool:
        return not isinstance(tensor, Literal) and tensor in self._data

    def axes(self, operation: Any) -> OperationAxes | None:
        kind, parameters = operation.primitive.name, operation.params
        if kind in AXES_UNKNOWN or not operation.invars or not operation.outvars:
            return None
        operands = [tuple(atom.aval.shape) for atom in operation.invars]
        result = tuple(operation.outvars[0].aval.shape)
        if kind == "dot_general":
            return _product_axes(parameters["dimension_numbers"], *map(len, operands))
        if kind == "conv_general_dilated":
            return _convolution_axes(parameters)
        if kind == "transpose":
            return moved_axes(parameters["permutation"])
        if kind in REDUCTIONS:
            return reduced_axes(len(operands[0]), parameters["axes"], keeps=False)
        if kind in ("reshape", "squeeze"):
            return reshaped_axes(operands[0], result)
        if kind == "broadcast_in_dim":
            return _broadcast_axes(operands[0], result, parameters["broadcast_dimensions"])
        return elementwise_axes(operands, result)


def _product_axes(dimension_numbers: Any, left: int, right: int) -> OperationAxes:
    """Return the labels of a dot_general; its result has the axes of the batch, then those of each operand."""
    (left_summed, right_summed), (left_batch, right_batch) = dimension_numbers
    labels: list[list[Any]] = [[("left", axis) for axis in range(left)], [("right", axis) for axis in range(right)]]
    for name, axes in (("summed", (left_summed, right_summed)), ("batch", (left_batch, right_batch))):
        for number, pair in enumerate(zip(*axes, strict=True)):
            for operand, axis in zip(labels, pair, strict=True):
                operand[axis] = (name, number)
    batch = [("batch", number) for number in range(len(left_batch))]
    free = [label for operand in labels for label in operand if label[0] in ("left", "right")]
    return OperationAxes((tuple(labels[0]), tuple(labels[1])), (*batch, *free), is_product=True)


def _convolution_axes(parameters: Any) -> OperationAxes:
    """Return the labels of a convolution, whose specifications list batch, channels and space in this order."""
    numbers = parameters["dimension_numbers"]
    is_grouped = parameters["feature_group_count"] > 1

    def labels(specification: Sequence[int], names: tuple[Any, Any], space: str) -> tuple[Any, ...]:
        found: list[Any] = [None] * len(specification)
        for place, axis in enumerate(specification):
            found[axis] = names[place] if place < 2 else (space, place)
        return tuple(found)

    into = "out" if is_grouped else "in"
    return OperationAxes(
        (
            labels(numbers.lhs_spec, ("images", into), "space"),
            labels(numbers.rhs_spec, ("out", "in"), "kernel"),
        ),
        labels(numbers.out_spec, ("images", "out"), "space"),
        is_product=True,
    )


def _broadcast_axes(operand: tuple[int, ...], result: tuple[int, ...], dimensions: Sequence[int]) -> OperationAxes:
    """Return the labels of an array that is repeated along new axes, and along its axes of size 1."""
    labels = tuple(
        int(axis) if size == result[int(axis)] else ("one", place)
        for place, (size, axis) in enumerate(zip(operand, dimensions, strict=True))
    )
    return OperationAxes((labels,), tuple(range(len(result))))
