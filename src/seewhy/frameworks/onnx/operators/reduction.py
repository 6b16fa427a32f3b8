"""Gradients of sums, means, maxima and norms over axes."""

import math

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def reduce_sum(g: NodeGradient) -> InputGradients:
    """Gradient of y = sum x."""
    return (g.expand(_aligned(g, g.gradient), g.x, _axes(g)),)


def reduce_mean(g: NodeGradient) -> InputGradients:
    """Gradient of y = sum x / n."""
    part = g.builder.mul(g.gradient, g.scalar(1 / math.prod(g.size(g.x, axis) for axis in _axes(g))))
    return (g.expand(_aligned(g, part), g.x, _axes(g)),)


def reduce_max(g: NodeGradient) -> InputGradients:
    """Gradient of y = max x or min x; equal elements share the gradient, as in torch.amax."""
    build = g.builder
    selected = build.cast(build.op("Equal", g.x, _aligned(g, g.y)), g.graph.dtype(g.x))
    part = build.div(_aligned(g, g.gradient), build.reduce_sum(selected, _axes(g)))
    return (build.mul(selected, part),)


def reduce_l1(g: NodeGradient) -> InputGradients:
    """Gradient of y = sum |x|."""
    return (g.builder.mul(g.builder.op("Sign", g.x), _aligned(g, g.gradient)),)


def reduce_l2(g: NodeGradient) -> InputGradients:
    """Gradient of y = sqrt(sum x^2); dy/dx = x / y, and 0 where y is 0."""
    build, zero = g.builder, g.scalar(0)
    is_zero = build.op("Equal", g.y, zero)
    part = build.div(g.gradient, build.op("Where", is_zero, g.scalar(1), g.y))
    return (build.mul(g.x, _aligned(g, part)),)


def reduce_sum_square(g: NodeGradient) -> InputGradients:
    """Gradient of y = sum x^2."""
    return (g.builder.mul(g.x, _aligned(g, g.builder.mul(g.gradient, g.scalar(2)))),)


def reduce_log_sum(g: NodeGradient) -> InputGradients:
    """Gradient of y = log(sum x); dy/dx = exp(-y)."""
    part = g.builder.mul(g.gradient, g.builder.op("Exp", g.builder.op("Neg", g.y)))
    return (g.expand(_aligned(g, part), g.x, _axes(g)),)


def reduce_log_sum_exp(g: NodeGradient) -> InputGradients:
    """Gradient of y = log(sum(exp x)); dy/dx = exp(x - y)."""
    share = g.builder.op("Exp", g.builder.sub(g.x, _aligned(g, g.y)))
    return (g.builder.mul(share, _aligned(g, g.gradient)),)


def _axes(g: NodeGradient) -> tuple[int, ...]:
    """Return the axes over which a node reduces."""
    rank, axes = g.rank(g.x), g.integers("axes", 1)
    if axes:
        return tuple(axis % rank for axis in axes)
    if g.attribute("noop_with_empty_axes", 0):
        raise NoGradientRuleError("it reduces over no axes")
    return tuple(range(rank))


def _aligned(g: NodeGradient, value: str) -> str:
    """Return something in the shape of the output with the reduced axes, of size 1."""
    return value if g.attribute("keepdims", 1) else g.builder.unsqueeze(value, sorted(_axes(g)))


REDUCTIONS: dict[str, GradientRule] = {
    "ReduceSum": reduce_sum,
    "ReduceMean": reduce_mean,
    "ReduceMax": reduce_max,
    "ReduceMin": reduce_max,
    "ReduceL1": reduce_l1,
    "ReduceL2": reduce_l2,
    "ReduceSumSquare": reduce_sum_square,
    "ReduceLogSum": reduce_log_sum,
    "ReduceLogSumExp": reduce_log_sum_exp,
}
