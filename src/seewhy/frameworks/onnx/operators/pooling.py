"""Gradients of pooling."""

import math

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.onnx.operators.indexing import scatter_add
from seewhy.frameworks.onnx.operators.node_gradient import GradientRule, InputGradients, NodeGradient
from seewhy.frameworks.onnx.operators.windows import Windows, windows


def global_average_pool(g: NodeGradient) -> InputGradients:
    """The mean over space."""
    space = g.space(g.x)
    part = g.builder.mul(g.gradient, g.scalar(1 / math.prod(space)))
    return (g.expand(part, g.x, range(2, 2 + len(space))),)


def global_max_pool(g: NodeGradient) -> InputGradients:
    """The maximum over space: of equal elements, the first one has the gradient, as in torch's adaptive_max_pool2d."""
    build, channels, count = g.builder, g.size(g.x, 1), math.prod(g.space(g.x))
    flat = build.reshape(g.x, (None, channels, count))
    first = build.op("ArgMax", flat, axis=2, keepdims=1)
    selected = build.op("Equal", first, build.constant(np.arange(count), np.int64))
    gradient = build.reshape(g.gradient, (None, channels, 1))
    return (g.reshape_like(build.op("Where", selected, gradient, g.scalar(0)), g.x),)


def average_pool(g: NodeGradient) -> InputGradients:
    """The mean of each window, which is a product with one matrix for each axis of space."""
    layout = windows(g, tuple(g.attribute("kernel_shape")), g.x, g.y)
    gradient, rank = g.gradient, g.rank(g.x)
    for axis in range(len(layout.kernel)):
        matrix = _averages(layout, axis, bool(g.attribute("count_include_pad", 0)))
        gradient = g.builder.along_axis(gradient, rank, axis + 2, g.array(matrix), g.array(matrix.T))
    return (gradient,)


def _averages(layout: Windows, axis: int, counts_padding: bool) -> NDArray[np.float64]:
    """Return the weight of each element of the input in each window along an axis (windows, elements)."""
    positions, size = layout.positions(axis), layout.inputs[axis]
    inside = (positions >= 0) & (positions < size)
    matrix = np.zeros((layout.outputs[axis], size))
    np.add.at(matrix, (np.nonzero(inside)[0], positions[inside]), 1)
    counted = positions < size + layout.ends[axis] if counts_padding else inside
    return np.asarray(matrix / counted.sum(axis=1, keepdims=True))


def max_pool(g: NodeGradient) -> InputGradients:
    """The maximum of each window: of equal elements, the first one has the gradient, as in torch's max_pool2d.

    The operator itself tells which element it took. Windows that overlap may have taken the same one, and an operator
    that adds at an index exists from opset 16 only.
    """
    build, taken = g.builder, _indices(g)
    if g.graph.opset < 16:
        return (_added_by_groups(g, taken),)
    zeros, indices, gradient = (build.reshape(value, [None]) for value in (g.zeros_like(g.x), taken, g.gradient))
    return (g.reshape_like(scatter_add(g, zeros, indices, gradient, 0), g.x),)


def _added_by_groups(g: NodeGradient, taken: str) -> str:
    """Add the gradient at indices of the input. Windows that overlap are in different groups, each with its own zeros.

    Args:
        g: The node.
        taken: For each window, the index of an element among all of the input.
    """
    build, groups = g.builder, _groups(windows(g, tuple(g.attribute("kernel_shape")), g.x, g.y))
    offsets = build.mul(build.constant(groups, np.int64), build.op("Size", g.x))
    shape = build.op("Concat", build.integers(int(groups.max()) + 1), g.runtime_shape(g.x), axis=0)
    zeros = build.op("Expand", g.scalar(0), shape)
    flat = (build.reshape(value, [None]) for value in (zeros, build.add(taken, offsets), g.gradient))
    placed = build.op("Reshape", build.op("ScatterElements", *flat, axis=0), shape)
    return build.reduce_sum(placed, [0], keepdims=False)


def _indices(g: NodeGradient) -> str:
    """Return the index of the element that each window took, among all of the input."""
    names = ("kernel_shape", "strides", "pads", "dilations", "ceil_mode", "auto_pad")
    attributes = {name: value for name in names if (value := g.attribute(name)) is not None}
    return g.builder.ops("MaxPool", g.x, outputs=2, **attributes)[1]


def _groups(layout: Windows) -> NDArray[np.int64]:
    """Return a group for each window, so that those of one group do not overlap."""
    groups = np.zeros((1,) * len(layout.kernel), np.int64)
    for axis, count in enumerate(layout.outputs):
        repeats = -(-layout.extent(axis) // layout.strides[axis])
        shape = [-1 if other == axis else 1 for other in range(len(layout.kernel))]
        groups = groups * repeats + (np.arange(count) % repeats).reshape(shape)
    return groups


POOLING: dict[str, GradientRule] = {
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "AveragePool": average_pool,
    "MaxPool": max_pool,
}
