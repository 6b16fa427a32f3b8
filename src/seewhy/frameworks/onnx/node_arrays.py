"""Arrays that nodes of a graph compute: given such arrays, a method emits the nodes that make its heatmaps.

A method is written over an array namespace. With arrays of numbers it computes heatmaps; with these, and the functions
of `NodeNamespace`, it adds the same computation to a model.

An array may be the same along an axis, as the gradients of a head that reads a mean are at every position. Such an axis
has size 1 in the value, and its full size in `shape`: nothing is computed twice.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from seewhy.errors import MethodError
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.shapes import Shape

Operand = "NodeArray | float"


@final
@dataclass(frozen=True, eq=False)
class NodeArray:
    """A value of a graph as an array.

    Attributes:
        builder: Emits the nodes.
        name: The value.
        shape: The size of each axis; None for the number of images.
        stored: The shape of the value, with 1 for each axis along which the array is the same.
        untransposed: The value of which this one is a transpose, and the order of its axes.
    """

    builder: GraphBuilder
    name: str
    shape: Shape
    stored: Shape
    untransposed: tuple[str, tuple[int, ...]] | None = None

    @classmethod
    def of(cls, builder: GraphBuilder, name: str, shape: Shape) -> "NodeArray":
        """Return a value of this shape as an array."""
        return cls(builder, name, shape, shape)

    def broadcast(self, shape: Shape) -> "NodeArray":
        """Return the array in another shape, the same along axes where it has size 1."""
        return NodeArray(self.builder, self.name, shape, self.stored)

    def full(self) -> "NodeArray":
        """Return the same array, with every axis stored."""
        same = [axis for axis, size in enumerate(self.stored) if size == 1 and self.shape[axis] != 1]
        if not same:
            return self
        if any(self.shape[axis] is None for axis in same):
            raise MethodError("The method needs a value for each image where the model has one for all.")
        sizes = self.builder.integers(
            *(self.shape[axis] or 1 if axis in same else 1 for axis in range(len(self.shape)))
        )
        stored = tuple(self.shape[axis] if axis in same else size for axis, size in enumerate(self.stored))
        return NodeArray(self.builder, self.builder.op("Expand", self.name, sizes), self.shape, stored)

    def __getitem__(self, key: Any) -> "NodeArray":
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [each for each in keys if each is Ellipsis]:
            at = next(index for index, each in enumerate(keys) if each is Ellipsis)
            given = sum(each is not None and each is not Ellipsis for each in keys)
            keys[at : at + 1] = [slice(None)] * (len(self.shape) - given)
        found = self
        for axis, each in enumerate(keys):
            if each is None:
                found = found._with_new_axis(axis)
            elif isinstance(each, slice):
                found = found._sliced(axis, each)
            else:
                raise MethodError(f"The method reads single values, at {each}, for which it cannot be exported.")
        return found

    def __neg__(self) -> "NodeArray":
        return self.mapped("Neg")

    def __add__(self, other: Any) -> "NodeArray":
        return self._with("Add", other)

    def __sub__(self, other: Any) -> "NodeArray":
        return self._with("Sub", other)

    def __mul__(self, other: Any) -> "NodeArray":
        return self._with("Mul", other)

    def __truediv__(self, other: Any) -> "NodeArray":
        return self._with("Div", other)

    def __eq__(self, other: object) -> Any:
        return self._with("Equal", other)

    def __gt__(self, other: Any) -> "NodeArray":
        return self._with("Greater", other)

    def __lt__(self, other: Any) -> "NodeArray":
        return self._with("Less", other)

    def __ge__(self, other: Any) -> "NodeArray":
        return self._with("Less", other).mapped("Not")

    __radd__, __rmul__ = __add__, __mul__

    def mapped(self, operator: str) -> "NodeArray":
        """Return an operator of every value."""
        return NodeArray(self.builder, self.builder.op(operator, self.name), self.shape, self.stored)

    def reduced(self, operator: str, since: int, axis: int | Iterable[int] | None, *, keepdims: bool) -> "NodeArray":
        """Return the sum, mean or maximum along axes.

        Args:
            operator: "ReduceSum", "ReduceMean" or "ReduceMax".
            since: The opset from which its axes are an input.
            axis: The axes; None for all.
            keepdims: Whether the axes stay, with size 1.
        """
        axes = sorted({each % len(self.shape) for each in _axes(axis, len(self.shape))})
        stored = [each for each in axes if self.stored[each] != 1]
        name = self.builder.reduce(operator, since, self.name, stored)
        same = [self.shape[each] for each in axes if each not in stored]
        if operator == "ReduceSum" and (count := math.prod(size or 0 for size in same)) != 1:
            name = self.builder.mul(name, self.builder.constant(count, np.float32))
        kept = [1 if each in axes else size for each, size in enumerate(self.shape)]
        result = NodeArray(
            self.builder,
            name,
            tuple(kept),
            tuple(1 if each in axes else size for each, size in enumerate(self.stored)),
        )
        return result if keepdims else result.squeezed(axes)

    def squeezed(self, axes: Sequence[int]) -> "NodeArray":
        """Return the array without axes of size 1."""
        rest = [axis for axis in range(len(self.shape)) if axis not in axes]
        return NodeArray(
            self.builder,
            self.builder.squeeze(self.name, axes),
            tuple(self.shape[axis] for axis in rest),
            tuple(self.stored[axis] for axis in rest),
        )

    def transposed(self, order: Sequence[int]) -> "NodeArray":
        """Return the array with its axes in another order."""
        value, before = self.untransposed or (self.name, tuple(range(len(self.shape))))
        total = tuple(before[axis] for axis in order)
        return NodeArray(
            self.builder,
            self.builder.transpose(value, total),
            tuple(self.shape[axis] for axis in order),
            tuple(self.stored[axis] for axis in order),
            (value, total),
        )

    def reshaped(self, shape: Sequence[int | None]) -> "NodeArray":
        """Return the array in another shape; one size may be -1."""
        wanted = _with_known_size(self.shape, tuple(shape))
        if wanted == self.shape:
            return self
        stored = _regrouped(self.shape, self.stored, wanted)
        source = self if stored is not None else self.full()
        stored = wanted if stored is None else stored
        return NodeArray(self.builder, self.builder.reshape(source.name, stored), wanted, stored)

    def _with(self, operator: str, other: Any) -> "NodeArray":
        value = as_array(self.builder, other)
        shape = broadcast_shape(self.shape, value.shape)
        name = self.builder.op(operator, self.name, value.name)
        return NodeArray(self.builder, name, shape, broadcast_shape(self.stored, value.stored))

    def _with_new_axis(self, axis: int) -> "NodeArray":
        shape, stored = ((*size[:axis], 1, *size[axis:]) for size in (self.shape, self.stored))
        return NodeArray(self.builder, self.builder.unsqueeze(self.name, [axis]), shape, stored)

    def _sliced(self, axis: int, key: slice) -> "NodeArray":
        if key == slice(None):
            return self
        size = self.shape[axis]
        if size is None or key.step not in (None, 1):
            raise MethodError("The method takes a part of the images, for which it cannot be exported.")
        start, stop, _ = key.indices(size)
        shape = (*self.shape[:axis], stop - start, *self.shape[axis + 1 :])
        if self.stored[axis] == 1:
            return self.broadcast(shape)
        stored = (*self.stored[:axis], stop - start, *self.stored[axis + 1 :])
        return NodeArray(self.builder, self.builder.slice(self.name, axis, start, stop), shape, stored)


def as_array(builder: GraphBuilder, value: Any) -> NodeArray:
    """Return an array as it is, and a number as an array."""
    if isinstance(value, NodeArray):
        return value
    array = np.asarray(value, np.float32)
    return NodeArray.of(builder, builder.constant(array), array.shape)


def broadcast_shape(*shapes: Shape) -> Shape:
    """Return the shape to which shapes are broadcast; None is the number of images, which is 1 nowhere."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def _axes(axis: int | Iterable[int] | None, rank: int) -> Iterable[int]:
    if axis is None:
        return range(rank)
    return (axis,) if isinstance(axis, int) else axis


def _with_known_size(old: Shape, new: tuple[int | None, ...]) -> Shape:
    """Return the new shape of an array with the size that is -1 in it."""
    if -1 not in new:
        return new
    if None in old and None not in new:
        return tuple(None if size == -1 else size for size in new)
    product = math.prod(size for size in old if size is not None)
    rest = math.prod(size for size in new if size is not None and size != -1)
    return tuple(product // rest if size == -1 else size for size in new)


def _regrouped(old: Shape, stored: Shape, new: Shape) -> Shape | None:
    """Return the stored shape after a reshape; None where it splits or joins axes of which only some are stored."""
    found: list[int | None] = []
    at = 0
    rest = list(new)
    while at < len(old):
        start, sizes = at, [old[at]]
        at += 1
        taken = [rest.pop(0)] if rest else []
        while _product(sizes) != _product(taken):
            if _is_less(taken, sizes) and rest:
                taken.append(rest.pop(0))
            elif at < len(old):
                sizes.append(old[at])
                at += 1
            else:
                return None
        parts = stored[start:at]
        if all(part == 1 for part in parts):
            found += [1] * len(taken)
        elif tuple(parts) == tuple(sizes):
            found += taken
        else:
            return None
    return (*found, *rest) if all(size == 1 for size in rest) else None


def _product(sizes: Sequence[int | None]) -> tuple[int, int]:
    return math.prod(size for size in sizes if size is not None), list(sizes).count(None)


def _is_less(sizes: Sequence[int | None], others: Sequence[int | None]) -> bool:
    (one, images), (two, other_images) = _product(sizes), _product(others)
    return images < other_images or (images == other_images and one < two)
