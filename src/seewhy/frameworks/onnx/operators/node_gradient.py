"""One node of a model while its gradient is built: what a row of the table of gradients is given."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto, helper

from seewhy.errors import MethodError
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.known_values import KnownValues
from seewhy.frameworks.onnx.shapes import Shape


class NoGradientRuleError(MethodError):
    """An operator has no gradient rule, or has none for the way in which a model uses it."""


@dataclass(frozen=True)
class NodeGradient:
    """A node whose gradient is built.

    Args:
        graph: The model.
        node: The node.
        builder: Emits the nodes of the gradient.
        output_gradients: The name of the gradient of each output, in the shape of the output; None where there is none.
        needed: For each input, whether its gradient is needed.
        known_values: Computes what the model computes from shapes only.
    """

    graph: Graph
    node: NodeProto
    builder: GraphBuilder
    output_gradients: tuple[str | None, ...]
    needed: tuple[bool, ...]
    known_values: KnownValues

    @property
    def gradient(self) -> str:
        """The gradient of the first output; no other output may have one."""
        first, *others = self.output_gradients
        if first is None or any(other is not None for other in others):
            raise NoGradientRuleError("another output than the first is used")
        return first

    @property
    def x(self) -> str:
        """The name of the first input."""
        return str(self.node.input[0])

    @property
    def y(self) -> str:
        """The name of the first output."""
        return str(self.node.output[0])

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs; "" for an optional input left out."""
        return tuple(self.node.input)

    def optional_input(self, index: int) -> str | None:
        """Return the name of an input; None where it is left out."""
        return (self.inputs[index] or None) if index < len(self.inputs) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute; text as `str`, lists as tuples."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                if isinstance(value, bytes):
                    return value.decode()
                return value if isinstance(value, (int, float)) or hasattr(value, "DESCRIPTOR") else tuple(value)
        return default

    def needs(self, index: int) -> bool:
        """Whether the gradient of an input is needed."""
        return index < len(self.needed) and self.needed[index]

    def shape(self, value: str) -> Shape:
        """Return the shape of a value.

        Raises:
            NoGradientRuleError: The number of its axes is unknown.
        """
        shape = self.graph.shape(value)
        if shape is None:
            raise NoGradientRuleError(f"the shape of '{value}' is unknown")
        return shape

    def size(self, value: str, axis: int) -> int:
        """Return the size of a value along an axis.

        Raises:
            NoGradientRuleError: It is unknown.
        """
        size = self.shape(value)[axis]
        if size is None:
            raise NoGradientRuleError(f"the size of '{value}' along axis {axis} is unknown")
        return size

    def space(self, value: str) -> tuple[int, ...]:
        """Return the sizes of the axes after batch and channels."""
        return tuple(self.size(value, axis) for axis in range(2, len(self.shape(value))))

    def rank(self, value: str) -> int:
        """Return the number of axes of a value."""
        return len(self.shape(value))

    def axis(self, value: str, name: str = "axis", default: int = -1) -> int:
        """Return the axis that an attribute names, counted from the first."""
        return int(self.attribute(name, default)) % self.rank(value)

    def constant_input(self, index: int, what: str) -> np.ndarray | None:
        """Return an input that has to be constant; None where it is left out.

        Raises:
            NoGradientRuleError: The input is computed by the model.
        """
        name = self.optional_input(index)
        if name is None:
            return None
        constant = self.known_values.get(name)
        if constant is None:
            raise NoGradientRuleError(f"its {what} are not constant")
        return constant

    def constant_array(self, index: int, what: str) -> np.ndarray:
        """Return an input that has to be given and constant."""
        constant = self.constant_input(index, what)
        if constant is None:
            raise NoGradientRuleError(f"it has no {what}")
        return constant

    def integers(self, attribute: str, index: int) -> tuple[int, ...] | None:
        """Return integers that are an attribute in early opsets and an input in later ones; None where left out."""
        value = self.attribute(attribute)
        if value is None:
            value = self.constant_input(index, attribute)
        return None if value is None else tuple(np.ravel(value).tolist())

    def scalar(self, number: float, like: str | None = None) -> str:
        """Return a constant in the type of a value, of the first input by default."""
        return self.builder.constant(number, self.graph.dtype(like or self.x))

    def array(self, values: Any) -> str:
        """Return a constant array in the type of the first input."""
        return self.builder.constant(values, self.graph.dtype(self.x))

    def convert(self, gradient: str, of: str, to: str) -> str:
        """Return something in the type of `of` in the type of `to`."""
        dtype = self.graph.dtype(to)
        return gradient if self.graph.dtype(of) == dtype else self.builder.cast(gradient, dtype)

    def reshape_like(self, gradient: str, value: str) -> str:
        """Return a gradient in the shape of a value with as many elements."""
        shape = self.shape(value)
        if sum(size is None for size in shape) > 1:
            return self.builder.op("Reshape", gradient, self.builder.op("Shape", value))
        return self.builder.reshape(gradient, shape)

    def zeros_like(self, value: str) -> str:
        """Return zeros in the shape and type of a value."""
        return self.builder.op("Expand", self.scalar(0, like=value), self.runtime_shape(value))

    def runtime_shape(self, value: str) -> str:
        """Return the shape of a value, as a constant if all of it is known."""
        shape = self.shape(value)
        known = [size for size in shape if size is not None]
        return self.builder.integers(*known) if len(known) == len(shape) else self.builder.op("Shape", value)

    def expand(self, gradient: str, value: str, axes: Collection[int]) -> str:
        """Return a gradient that has size 1 along some axes in the shape of a value."""
        sizes = [size if axis in axes else 1 for axis, size in enumerate(self.shape(value))]
        known = [size for size in sizes if size is not None]
        shape = self.builder.integers(*known) if len(known) == len(sizes) else self.builder.op("Shape", value)
        return self.builder.op("Expand", gradient, shape)

    def sum_to(self, gradient: str, value: str, of: str | None = None) -> str:
        """Return a gradient summed over the axes along which a value was broadcast.

        Args:
            gradient: A gradient in the shape of `of`.
            value: The value that was broadcast to that shape.
            of: A value; the first output by default.
        """
        return self.sum_to_shape(gradient, self.shape(of or self.y), self.shape(value))

    def sum_to_shape(self, gradient: str, shape: Shape, wanted: Shape) -> str:
        """Return a gradient summed over the axes along which `wanted` was broadcast to `shape`."""
        added = len(shape) - len(wanted)
        summed = [*range(added)]
        for axis, size in enumerate(wanted, start=added):
            if size is None and shape[axis] is not None:
                raise NoGradientRuleError("it is not known which axes are broadcast")
            if size == 1 and shape[axis] != 1:
                summed.append(axis)
        if len(summed) == added:
            return self.builder.reduce_sum(gradient, summed, keepdims=False)
        return self.builder.squeeze(self.builder.reduce_sum(gradient, summed), range(added))


InputGradients: TypeAlias = Sequence[str | None]
"""The gradients of the inputs of a node; None, or left out at the end, where a rule has none."""

GradientRule: TypeAlias = Callable[[NodeGradient], InputGradients]
"""A row of the table: emits the gradients of the inputs that need one."""
