"""Gradients of operators that move elements, without computing."""

import numpy as np

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def reshape(g: NodeGradient) -> InputGradients:
    """The elements of x in another shape."""
    return (g.reshape_like(g.gradient, g.x),)


def transpose(g: NodeGradient) -> InputGradients:
    """The axes of x in another order."""
    order = g.attribute("perm") or range(g.rank(g.x))[::-1]
    return (g.builder.transpose(g.gradient, np.argsort(order).tolist()),)


def expand(g: NodeGradient) -> InputGradients:
    """x, broadcast."""
    return (g.sum_to(g.gradient, g.x),)


def tile(g: NodeGradient) -> InputGradients:
    """x, repeated along each axis."""
    repeats = g.integers("repeats", 1) or ()
    shape = [size for pair in zip(repeats, g.shape(g.x), strict=True) for size in pair]
    summed = g.builder.reduce_sum(_reshape(g, g.gradient, shape), range(0, len(shape), 2), keepdims=False)
    return (summed,)


def concat(g: NodeGradient) -> InputGradients:
    """The inputs, one after the other along an axis: each has its part of the gradient."""
    axis, start = g.axis(g.x), 0
    gradients: list[str | None] = []
    last = max(index for index in range(len(g.inputs)) if g.needs(index))
    for index, name in enumerate(g.inputs[: last + 1]):
        end = start + g.size(name, axis)
        gradients.append(g.builder.slice(g.gradient, axis, start, end) if g.needs(index) else None)
        start = end
    return gradients


def split(g: NodeGradient) -> InputGradients:
    """Parts of x along an axis."""
    build, axis = g.builder, g.axis(g.x, default=0)
    if None not in g.output_gradients:
        return (build.op("Concat", *(str(name) for name in g.output_gradients), axis=axis),)
    total, start = g.size(g.x, axis), 0
    padded = []
    for output, gradient in zip(g.node.output, g.output_gradients, strict=True):
        end = start + g.size(output, axis)
        if gradient is not None:
            padded.append(build.pad(gradient, *_on_axis(g, axis, start, total - end)))
        start = end
    return (build.total(padded),)


def _on_axis(g: NodeGradient, axis: int, begin: int, end: int) -> tuple[list[int], list[int]]:
    """Return the padding of each axis at its begin and at its end, where only one axis is padded."""
    rank = g.rank(g.x)
    return [begin * (other == axis) for other in range(rank)], [end * (other == axis) for other in range(rank)]


def depth_to_space(g: NodeGradient) -> InputGradients:
    """Channels, moved to blocks of positions."""
    block = g.attribute("blocksize")
    if g.attribute("mode", "DCR") == "DCR":
        return (g.builder.op("SpaceToDepth", g.gradient, blocksize=block),)
    count, channels, height, width = g.shape(g.y)
    if channels is None or height is None or width is None:
        raise NoGradientRuleError(f"the shape of '{g.y}' is not known")
    blocks = _reshape(g, g.gradient, [count, channels, height // block, block, width // block, block])
    return (g.reshape_like(g.builder.transpose(blocks, [0, 1, 3, 5, 2, 4]), g.x),)


def space_to_depth(g: NodeGradient) -> InputGradients:
    """Blocks of positions, moved to channels."""
    return (
        g.builder.op("DepthToSpace", g.gradient, blocksize=g.attribute("blocksize"), mode=g.attribute("mode", "DCR")),
    )


def triangle(g: NodeGradient) -> InputGradients:
    """x, with zeros above or below a diagonal."""
    return (g.builder.op("Trilu", *[g.gradient, *g.inputs[1:]], upper=g.attribute("upper", 1)),)


def cumulative_sum(g: NodeGradient) -> InputGradients:
    """The sum of all elements up to each: the gradient is summed from the other end."""
    reverse, exclusive = g.attribute("reverse", 0), g.attribute("exclusive", 0)
    return (g.builder.op("CumSum", g.gradient, g.inputs[1], reverse=1 - reverse, exclusive=exclusive),)


def _reshape(g: NodeGradient, value: str, shape: list[int | None]) -> str:
    if shape.count(None) > 1:
        raise NoGradientRuleError(f"several sizes of '{g.x}' are unknown")
    return g.builder.reshape(value, shape)


SHAPE: dict[str, GradientRule] = {
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Expand": expand,
    "Tile": tile,
    "Concat": concat,
    "Split": split,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Trilu": triangle,
    "CumSum": cumulative_sum,
}
