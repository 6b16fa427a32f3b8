"""The functions of arrays that nodes compute, named as in the array API, as far as methods use them."""

from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np

from seewhy.errors import MethodError
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.node_arrays import NodeArray, as_array, broadcast_shape

Axes = int | Iterable[int] | None

CHANNELS_LAST = (0, 2, 3, 1)
"""The order of the axes of an image that makes channels the last."""


@final
class NodeNamespace:
    """Functions that emit nodes.

    Args:
        builder: Emits the nodes.
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> Any:
        raise MethodError(f"The method computes {name}, for which an exported model has no operator.")

    def sum(self, array: NodeArray, axis: Axes = None, *, keepdims: bool = False) -> NodeArray:
        """Return the sum along axes."""
        return array.reduced("ReduceSum", 13, axis, keepdims=keepdims)

    def mean(self, array: NodeArray, axis: Axes = None, *, keepdims: bool = False) -> NodeArray:
        """Return the mean along axes."""
        return array.reduced("ReduceMean", 18, axis, keepdims=keepdims)

    def max(self, array: NodeArray, axis: Axes = None, *, keepdims: bool = False) -> NodeArray:
        """Return the maximum along axes."""
        return array.reduced("ReduceMax", 18, axis, keepdims=keepdims)

    def abs(self, array: NodeArray) -> NodeArray:
        """Return the absolute values."""
        return array.mapped("Abs")

    def maximum(self, one: NodeArray, other: NodeArray | float) -> NodeArray:
        """Return the larger of two values."""
        if not isinstance(other, NodeArray) and other == 0:
            return one.mapped("Relu")
        value = as_array(self._builder, other)
        name = self._builder.op("Max", one.name, value.name)
        shape, stored = broadcast_shape(one.shape, value.shape), broadcast_shape(one.stored, value.stored)
        return NodeArray(self._builder, name, shape, stored)

    def where(self, condition: NodeArray, value: Any, otherwise: Any) -> NodeArray:
        """Return one value where a condition holds, and another elsewhere."""
        parts = [condition, as_array(self._builder, value), as_array(self._builder, otherwise)]
        name = self._builder.op("Where", *(part.name for part in parts))
        shape, stored = (broadcast_shape(*sizes) for sizes in zip(*((p.shape, p.stored) for p in parts), strict=True))
        return NodeArray(self._builder, name, shape, stored)

    def zeros_like(self, array: NodeArray) -> NodeArray:
        """Return zeros."""
        zero = self._builder.constant(np.zeros((1,) * len(array.shape), np.float32))
        return NodeArray(self._builder, zero, array.shape, (1,) * len(array.shape))

    def ones_like(self, array: NodeArray) -> NodeArray:
        """Return ones."""
        return self.zeros_like(array) + 1.0

    def reshape(self, array: NodeArray, shape: Sequence[int | None]) -> NodeArray:
        """Return the array in another shape."""
        return array.reshaped(shape)

    def moveaxis(self, array: NodeArray, source: int, destination: int) -> NodeArray:
        """Return the array with one axis in another place."""
        rank = len(array.shape)
        order = [axis for axis in range(rank) if axis != source % rank]
        order.insert(destination % rank, source % rank)
        return array.transposed(order)

    def swapaxes(self, array: NodeArray, one: int, other: int) -> NodeArray:
        """Return the array with two axes exchanged."""
        order = list(range(len(array.shape)))
        order[one], order[other] = order[other], order[one]
        return array.transposed(order)

    def stack(self, arrays: Sequence[NodeArray], axis: int = 0) -> NodeArray:
        """Return arrays of one shape along a new axis."""
        key = (*(slice(None),) * axis, None)
        return self.concatenate([array[key] for array in arrays], axis=axis)

    def concatenate(self, arrays: Sequence[NodeArray], axis: int = 0) -> NodeArray:
        """Return arrays joined along an axis."""
        full = [array.full() for array in arrays]
        axis %= len(full[0].shape)
        name = full[0].name if len(full) == 1 else self._builder.op("Concat", *(a.name for a in full), axis=axis)
        total = sum(array.shape[axis] or 0 for array in full)
        shape = (*full[0].shape[:axis], total, *full[0].shape[axis + 1 :])
        return NodeArray.of(self._builder, name, shape)

    def einsum(self, formula: str, weights: NodeArray, array: NodeArray) -> NodeArray:
        """Return the sum over channels of weights times an array (N, *space, K): the two formulas that methods use.

        Args:
            formula: "ntk,n...k->nt..." with weights (N, T, K); or "nt...k,n...k->nt..." with (N, T, *space, K).
            weights: The weights.
            array: What is weighted.
        """
        if formula.replace("c", "k") == "nt...k,n...k->nt...":
            space = range(2, len(weights.shape) - 1)
            if any(weights.stored[axis] != 1 for axis in space):
                return self.sum(weights * array[:, None], axis=-1)
            weights = weights.squeezed(list(space))
        elif formula != "ntk,n...k->nt...":
            raise MethodError(f"The method computes the product {formula!r}, which cannot be exported.")
        return self._weighted(weights, array)

    def _weighted(self, weights: NodeArray, array: NodeArray) -> NodeArray:
        """Return the sum over channels of weights (N, T, K) times an array (N, *space, K), as one product."""
        images, *space, channels = array.shape
        if weights.stored[0] == 1 and array.untransposed is not None and array.untransposed[1] == CHANNELS_LAST:
            return self._convolved(weights, array)
        by_channel = self.moveaxis(array.full(), -1, 1)
        positions = by_channel.reshaped((images, channels, *((-1,) if len(space) != 1 else space)))
        name = self._builder.op("MatMul", weights.name, positions.name)
        targets = weights.shape[1]
        product = NodeArray.of(self._builder, name, (images, targets, positions.shape[-1]))
        return product.reshaped((images, targets, *space))

    def _convolved(self, weights: NodeArray, array: NodeArray) -> NodeArray:
        """Return the same for weights that all images share: a convolution, which runtimes compute in their layouts."""
        assert array.untransposed is not None  # noqa: S101  # the caller asked
        images, *space, channels = array.shape
        targets = weights.shape[1]
        kernel = weights.broadcast((1, targets, channels)).reshaped((targets, channels, 1, 1))
        name = self._builder.op("Conv", array.untransposed[0], kernel.name, kernel_shape=[1, 1])
        return NodeArray.of(self._builder, name, (images, targets, *space))
