"""Gradients of normalizations, in inference mode."""

from collections.abc import Sequence

import numpy as np

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def batch_normalization(g: NodeGradient) -> InputGradients:
    """Gradient of y = scale (x - mean) / sqrt(variance + epsilon) + bias, with constants for each channel."""
    if g.attribute("training_mode", 0):
        raise NoGradientRuleError("it is in training mode")
    build, scale, variance = g.builder, g.inputs[1], g.inputs[4]
    epsilon = g.scalar(g.attribute("epsilon", 1e-5), like=variance)
    deviation = build.op("Sqrt", build.add(variance, epsilon))
    slope = build.div(g.convert(scale, of=scale, to=variance), deviation)
    return (build.mul(g.gradient, _on_channels(g, g.convert(slope, of=variance, to=g.x))),)


def instance_normalization(g: NodeGradient) -> InputGradients:
    """Gradient of y = scale (x - mean) / sqrt(variance + epsilon) + bias over the space of each channel."""
    x, gradient = _wide(g, g.x), _wide(g, g.gradient)
    weighted = g.builder.mul(gradient, _wide(g, _on_channels(g, g.inputs[1])))
    return (_narrow(g, _normalized(g, x, weighted, range(2, g.rank(g.x)))),)


def group_normalization(g: NodeGradient) -> InputGradients:
    """The same over the space and the channels of each group; the scale is that of a group before opset 21."""
    build, groups, shape = g.builder, int(g.attribute("num_groups")), g.shape(g.x)
    channels, space = g.size(g.x, 1), g.space(g.x)
    scale = g.inputs[1]
    if g.graph.opset < 21:
        scale = build.gather(scale, np.arange(groups).repeat(channels // groups), 0)
    weighted = build.mul(_wide(g, g.gradient), _wide(g, _on_channels(g, scale)))
    grouped = (shape[0], groups, channels // groups, *space)
    x = build.reshape(_wide(g, g.x), grouped)
    gradient = _normalized(g, x, build.reshape(weighted, grouped), range(2, len(grouped)))
    return (_narrow(g, build.reshape(gradient, shape)),)


def layer_normalization(g: NodeGradient) -> InputGradients:
    """Gradient of y = scale (x - mean) / sqrt(variance + epsilon) + bias over all axes from one on."""
    weighted = g.builder.mul(_wide(g, g.gradient), _wide(g, g.inputs[1], of=g.inputs[1]))
    return (_narrow(g, _normalized(g, _wide(g, g.x), weighted, range(g.axis(g.x), g.rank(g.x)))),)


def rms_normalization(g: NodeGradient) -> InputGradients:
    """Gradient of y = scale x / sqrt(mean(x^2) + epsilon) over all axes from one on."""
    weighted = g.builder.mul(_wide(g, g.gradient), _wide(g, g.inputs[1], of=g.inputs[1]))
    axes = range(g.axis(g.x), g.rank(g.x))
    return (_narrow(g, _normalized(g, _wide(g, g.x), weighted, axes, is_centered=False)),)


def _normalized(g: NodeGradient, x: str, gradient: str, axes: Sequence[int], *, is_centered: bool = True) -> str:
    """Return the gradient through n = (x - mean x) / d, where d = sqrt(mean((x - mean x)^2) + epsilon).

    With dn the gradient of n, that of x is (dn - mean dn - n mean(n dn)) / d. Without centring, it lacks the means.
    """
    build = g.builder
    epsilon = g.builder.constant(g.attribute("epsilon", 1e-5), _wide_type(g))
    centered = build.sub(x, build.reduce_mean(x, axes)) if is_centered else x
    variance = build.reduce_mean(build.mul(centered, centered), axes)
    deviation = build.op("Sqrt", build.add(variance, epsilon))
    normalized = build.div(centered, deviation)
    along = build.mul(normalized, build.reduce_mean(build.mul(normalized, gradient), axes))
    rest = build.sub(gradient, build.reduce_mean(gradient, axes)) if is_centered else gradient
    return build.div(build.sub(rest, along), deviation)


def lp_normalization(g: NodeGradient) -> InputGradients:
    """Gradient of y = x / n with n = sum |x| or sqrt(sum x^2) over an axis; 0 where n is 0."""
    build, zero, axes = g.builder, g.scalar(0), [g.axis(g.x)]
    product = build.reduce_sum(build.mul(g.gradient, g.y), axes)
    if g.attribute("p", 2) == 1:
        norm = build.reduce_sum(build.op("Abs", g.x), axes)
        along = build.mul(build.op("Sign", g.x), product)
    else:
        norm = build.op("Sqrt", build.reduce_sum(build.mul(g.x, g.x), axes))
        along = build.mul(g.y, product)
    is_zero = build.op("Equal", norm, zero)
    gradient = build.div(build.sub(g.gradient, along), build.op("Where", is_zero, g.scalar(1), norm))
    return (build.op("Where", is_zero, zero, gradient),)


def local_response_normalization(g: NodeGradient) -> InputGradients:
    """Gradient of y = x d^-beta with d = bias + alpha / size times the sum of x^2 over neighbouring channels."""
    build, rank, channels = g.builder, g.rank(g.x), g.size(g.x, 1)
    alpha, beta, size = g.attribute("alpha", 1e-4), g.attribute("beta", 0.75), g.attribute("size")
    distances = np.arange(channels) - np.arange(channels)[:, None]  # from the channel of the row
    band = (distances >= -((size - 1) // 2)) & (distances <= size - 1 - (size - 1) // 2)
    near, near_transposed = g.array(band), g.array(band.T)
    squares = build.along_axis(build.mul(g.x, g.x), rank, 1, near_transposed, near)
    base = build.add(g.scalar(g.attribute("bias", 1.0)), build.mul(g.scalar(alpha / size), squares))
    share = build.div(build.mul(g.gradient, g.y), base)
    spread = build.along_axis(share, rank, 1, near, near_transposed)
    direct = build.div(g.gradient, build.op("Pow", base, g.scalar(beta)))
    return (build.sub(direct, build.mul(g.scalar(2 * alpha * beta / size), build.mul(g.x, spread))),)


def _on_channels(g: NodeGradient, vector: str) -> str:
    """Return a vector over channels in a shape that is broadcast to that of the input."""
    return g.builder.unsqueeze(vector, range(1, g.rank(g.x) - 1))


def _wide_type(g: NodeGradient) -> np.dtype[np.generic]:
    """Return the type to compute in: at least float32, as the operators do."""
    dtype = g.graph.dtype(g.x)
    return dtype if dtype.itemsize > 2 else np.dtype(np.float32)


def _wide(g: NodeGradient, value: str, of: str | None = None) -> str:
    """Return something in the type of `of`, by default of the input, in the type to compute in."""
    dtype = _wide_type(g)
    return value if g.graph.dtype(of or g.x) == dtype else g.builder.cast(value, dtype)


def _narrow(g: NodeGradient, value: str) -> str:
    return value if g.graph.dtype(g.x) == _wide_type(g) else g.builder.cast(value, g.graph.dtype(g.x))


NORMALIZATIONS: dict[str, GradientRule] = {
    "BatchNormalization": batch_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "LpNormalization": lp_normalization,
    "LRN": local_response_normalization,
}
