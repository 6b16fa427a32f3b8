"""Builds ONNX nodes, and hides the differences between the opsets 11 and later."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

LARGE = 1024
"""Constants of more elements than this are not compared with others."""


class GraphBuilder:
    """Emits nodes that compute new values, with names that no other value has.

    Args:
        opset: The version of the operators of `ai.onnx`, 11 or later, at which the nodes are valid.
        taken: The names of values and nodes of the model that the nodes are added to.
        prefix: What each new name starts with.

    Attributes:
        nodes: The emitted nodes, in an order in which they can run.
        initializers: The constants that they read.
    """

    def __init__(self, opset: int, taken: Iterable[str] = (), prefix: str = "seewhy") -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._named: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._taken = set(taken)
        self._prefix = prefix
        self._numbers = itertools.count()

    def reserve(self, names: Iterable[str]) -> None:
        """Give none of these names to a new value."""
        self._taken.update(names)

    def start_anew(self) -> None:
        """Forget the nodes and constants, which are part of the model now, and keep their names taken."""
        self.nodes, self.initializers, self._named = [], [], {}

    def external_inputs(self) -> tuple[str, ...]:
        """Return the values that the nodes read and that neither they nor the constants here provide."""
        inside = {name for node in self.nodes for name in node.output} | {tensor.name for tensor in self.initializers}
        reads = dict.fromkeys(name for node in self.nodes for name in node.input if name)
        return tuple(name for name in reads if name not in inside)

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the name of the output. An optional input left out is ""."""
        return self.ops(operator, *inputs, outputs=1, **attributes)[0]

    def ops(self, operator: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """Add a node with several outputs, and return their names."""
        name = self._fresh(operator)
        names = (name, *(self._fresh(f"{operator}_{index}") for index in range(1, outputs)))
        self.nodes.append(helper.make_node(operator, inputs, names, name=name, domain=domain, **attributes))
        return names

    def constant(self, array: Any, dtype: Any = None) -> str:
        """Return the name of a constant; the same array gets the same name, unless it is large."""
        array = np.asarray(array, dtype)
        key = (str(array.dtype), array.shape, array.tobytes() if array.size <= LARGE else b"")
        if array.size > LARGE or key not in self._named:
            self.initializers.append(numpy_helper.from_array(array, self._fresh("constant")))
            self._named[key] = self.initializers[-1].name
        return self._named[key]

    def integers(self, *values: int) -> str:
        """Return the name of a constant vector of integers, such as axes or a shape."""
        return self.constant(values, np.int64)

    def add(self, a: str, b: str) -> str:
        """Return a + b."""
        return self.op("Add", a, b)

    def sub(self, a: str, b: str) -> str:
        """Return a - b."""
        return self.op("Sub", a, b)

    def mul(self, a: str, b: str) -> str:
        """Return a * b."""
        return self.op("Mul", a, b)

    def div(self, a: str, b: str) -> str:
        """Return a / b."""
        return self.op("Div", a, b)

    def total(self, values: Sequence[str]) -> str:
        """Return the sum of values of one shape."""
        return values[0] if len(values) == 1 else self.op("Sum", *values)

    def cast(self, value: str, dtype: Any) -> str:
        """Return the value in another type."""
        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reduce_sum(self, value: str, axes: Collection[int], keepdims: bool = True) -> str:
        """Return the sum over axes; the value itself where there are none."""
        return self.reduce("ReduceSum", 13, value, axes, keepdims)

    def reduce_mean(self, value: str, axes: Collection[int], keepdims: bool = True) -> str:
        """Return the mean over axes; the value itself where there are none."""
        return self.reduce("ReduceMean", 18, value, axes, keepdims)

    def reduce(
        self, operator: str, axes_input_since: int, value: str, axes: Collection[int], keepdims: bool = True
    ) -> str:
        """Return a reduction over axes, which are an input from one opset on; the value itself where there are none."""
        if not axes:
            return value
        if self.opset < axes_input_since:
            return self.op(operator, value, axes=[*axes], keepdims=int(keepdims))
        return self.op(operator, value, self.integers(*axes), keepdims=int(keepdims))

    def squeeze(self, value: str, axes: Collection[int]) -> str:
        """Return the value without axes of size 1."""
        return self._with_axes("Squeeze", value, axes)

    def unsqueeze(self, value: str, axes: Collection[int]) -> str:
        """Return the value with new axes of size 1; the axes are those of the result."""
        return self._with_axes("Unsqueeze", value, axes)

    def _with_axes(self, operator: str, value: str, axes: Collection[int]) -> str:
        if not axes:
            return value
        if self.opset < 13:
            return self.op(operator, value, axes=[*axes])
        return self.op(operator, value, self.integers(*axes))

    def reshape(self, value: str, shape: Sequence[int | None]) -> str:
        """Return the value in another shape, of which at most one size is None, to be inferred."""
        if sum(size is None for size in shape) > 1:
            raise ValueError(f"At most one size can be inferred; the shape is {tuple(shape)}")
        return self.op("Reshape", value, self.integers(*(-1 if size is None else size for size in shape)))

    def transpose(self, value: str, order: Sequence[int]) -> str:
        """Return the value with its axes in another order."""
        return value if list(order) == sorted(order) else self.op("Transpose", value, perm=[*order])

    def pad(self, value: str, begins: Sequence[int], ends: Sequence[int]) -> str:
        """Return the value with zeros added along each axis; negative counts remove."""
        if not any(begins) and not any(ends):
            return value
        return self.op("Pad", value, self.integers(*begins, *ends))

    def slice(self, value: str, axis: int, start: int, end: int) -> str:
        """Return the part of a value from `start` until before `end` along one axis."""
        return self.op("Slice", value, self.integers(start), self.integers(end), self.integers(axis))

    def gather(self, value: str, indices: np.ndarray, axis: int) -> str:
        """Return what is at constant indices along one axis."""
        return self.op("Gather", value, self.constant(indices, np.int64), axis=axis)

    def where_greater(self, compared: str, constant: str, value: str, otherwise: str) -> str:
        """Return `value` where another one is greater than a constant, and `otherwise` elsewhere."""
        return self.op("Where", self.op("Greater", compared, constant), value, otherwise)

    def along_axis(self, value: str, rank: int, axis: int, matrix: str, transposed: str) -> str:
        """Return the product of a value and a matrix (old size, new size) along one axis.

        Args:
            value: A value of `rank` axes.
            rank: The number of its axes.
            axis: The axis whose size changes.
            matrix: The matrix.
            transposed: The same matrix, transposed.
        """
        if axis == rank - 1:
            return self.op("MatMul", value, matrix)
        if axis == rank - 2:
            return self.op("MatMul", transposed, value)
        order = [*range(axis), *range(axis + 1, rank), axis]
        product = self.op("MatMul", self.transpose(value, order), matrix)
        return self.transpose(product, [*np.argsort(order).tolist()])

    def _fresh(self, what: str) -> str:
        name = next(name for number in self._numbers if (name := f"{self._prefix}/{what}_{number}") not in self._taken)
        self._taken.add(name)
        return name
