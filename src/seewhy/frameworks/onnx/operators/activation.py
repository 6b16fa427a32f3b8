"""Gradients of activations."""

import math

from seewhy.frameworks.onnx.operators.node_gradient import GradientRule, InputGradients, NodeGradient


def relu(g: NodeGradient) -> InputGradients:
    """Gradient of y = max(x, 0); 0 at 0."""
    return (g.builder.where_greater(g.y, g.scalar(0), g.gradient, g.scalar(0)),)


def thresholded_relu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x where x > alpha, else 0."""
    return (g.builder.where_greater(g.x, g.scalar(g.attribute("alpha", 1.0)), g.gradient, g.scalar(0)),)


def leaky_relu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x where x > 0, else alpha x."""
    slope = g.builder.mul(g.gradient, g.scalar(g.attribute("alpha", 0.01)))
    return (g.builder.where_greater(g.x, g.scalar(0), g.gradient, slope),)


def prelu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x where x > 0, else slope x."""
    build, (x, slope), zero = g.builder, g.inputs, g.scalar(0)
    of_x = of_slope = None
    if g.needs(0):
        of_x = build.where_greater(x, zero, g.gradient, build.mul(g.gradient, slope))
    if g.needs(1):
        of_slope = g.sum_to(build.where_greater(x, zero, zero, build.mul(g.gradient, x)), slope)
    return of_x, of_slope


def elu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x where x > 0, else alpha (exp x - 1)."""
    alpha = g.scalar(g.attribute("alpha", 1.0))
    slope = g.builder.mul(g.gradient, g.builder.add(g.y, alpha))
    return (g.builder.where_greater(g.x, g.scalar(0), g.gradient, slope),)


def selu(g: NodeGradient) -> InputGradients:
    """Gradient of y = gamma x where x > 0, else gamma alpha (exp x - 1)."""
    alpha = g.attribute("alpha", 1.6732631921768188)
    gamma = g.attribute("gamma", 1.0507009873554805)
    slope = g.builder.mul(g.gradient, g.builder.add(g.y, g.scalar(alpha * gamma)))
    return (g.builder.where_greater(g.x, g.scalar(0), g.builder.mul(g.gradient, g.scalar(gamma)), slope),)


def celu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x where x > 0, else alpha (exp(x / alpha) - 1)."""
    decay = g.builder.add(g.builder.div(g.y, g.scalar(g.attribute("alpha", 1.0))), g.scalar(1))
    return (g.builder.where_greater(g.x, g.scalar(0), g.gradient, g.builder.mul(g.gradient, decay)),)


def sigmoid(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = y (1 - y)."""
    return (g.builder.mul(g.gradient, g.builder.mul(g.y, g.builder.sub(g.scalar(1), g.y))),)


def tanh(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = 1 - y^2."""
    return (g.builder.mul(g.gradient, g.builder.sub(g.scalar(1), g.builder.mul(g.y, g.y))),)


def softplus(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = sigmoid x."""
    return (g.builder.mul(g.gradient, g.builder.op("Sigmoid", g.x)),)


def softsign(g: NodeGradient) -> InputGradients:
    """Gradient of y = x / (1 + |x|); dy/dx = 1 / (1 + |x|)^2."""
    size = g.builder.add(g.scalar(1), g.builder.op("Abs", g.x))
    return (g.builder.div(g.gradient, g.builder.mul(size, size)),)


def hard_sigmoid(g: NodeGradient) -> InputGradients:
    """Gradient of y = min(max(alpha x + beta, 0), 1); 0 at the bounds."""
    slope = g.builder.mul(g.gradient, g.scalar(g.attribute("alpha", 0.2)))
    return (_inside(g, g.y, 0.0, 1.0, slope),)


def hard_swish(g: NodeGradient) -> InputGradients:
    """Gradient of y = x min(max(x / 6 + 1/2, 0), 1)."""
    build = g.builder
    gate = build.op("HardSigmoid", g.x, alpha=1 / 6, beta=0.5)
    slope = _inside(g, g.x, -3.0, 3.0, build.div(g.x, g.scalar(6)))
    return (build.mul(g.gradient, build.add(gate, slope)),)


def swish(g: NodeGradient, default_alpha: float = 1.0) -> InputGradients:
    """Gradient of y = x sigmoid(alpha x); dy/dx = s + alpha y (1 - s)."""
    build, alpha = g.builder, g.scalar(g.attribute("alpha", default_alpha))
    gate = build.op("Sigmoid", build.mul(g.x, alpha))
    rest = build.mul(build.mul(alpha, g.y), build.sub(g.scalar(1), gate))
    return (build.mul(g.gradient, build.add(gate, rest)),)


def mish(g: NodeGradient) -> InputGradients:
    """Gradient of y = x t with t = tanh(softplus x); dy/dx = t + x (1 - t^2) sigmoid x."""
    build = g.builder
    t = build.op("Tanh", build.op("Softplus", g.x))
    slope = build.mul(build.mul(g.x, build.op("Sigmoid", g.x)), build.sub(g.scalar(1), build.mul(t, t)))
    return (build.mul(g.gradient, build.add(t, slope)),)


def gelu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x P(x), P(x) = (1 + erf(x / sqrt 2)) / 2, or of its approximation by tanh."""
    if g.attribute("approximate", "none") == "tanh":
        return fast_gelu(g)
    build = g.builder
    half, x = g.scalar(0.5), g.x
    share = build.mul(half, build.add(g.scalar(1), build.op("Erf", build.mul(x, g.scalar(math.sqrt(0.5))))))
    bell = build.op("Exp", build.mul(g.scalar(-0.5), build.mul(x, x)))
    density = build.mul(bell, g.scalar(1 / math.sqrt(2 * math.pi)))
    return (build.mul(g.gradient, build.add(share, build.mul(x, density))),)


def fast_gelu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x (1 + t) / 2 with t = tanh(c (x + a x^3)), c = sqrt(2 / pi), a = 0.044715."""
    build, x, half, one = g.builder, g.x, g.scalar(0.5), g.scalar(1)
    c, a = math.sqrt(2 / math.pi), 0.044715
    square = build.mul(x, x)
    inner = build.mul(build.mul(x, g.scalar(c)), build.add(one, build.mul(g.scalar(a), square)))
    t = build.op("Tanh", inner)
    slope = build.mul(g.scalar(c), build.add(one, build.mul(g.scalar(3 * a), square)))
    second = build.mul(build.mul(x, slope), build.sub(one, build.mul(t, t)))
    return (build.mul(g.gradient, build.mul(half, build.add(build.add(one, t), second))),)


def softmax(g: NodeGradient) -> InputGradients:
    """Gradient: dx = y (dy - sum(y dy))."""
    build = g.builder
    mean = build.reduce_sum(build.mul(g.gradient, g.y), _softmax_axes(g))
    return (build.mul(g.y, build.sub(g.gradient, mean)),)


def log_softmax(g: NodeGradient) -> InputGradients:
    """Gradient: dx = dy - exp(y) sum(dy)."""
    build = g.builder
    total = build.reduce_sum(g.gradient, _softmax_axes(g))
    return (build.sub(g.gradient, build.mul(build.op("Exp", g.y), total)),)


def _softmax_axes(g: NodeGradient) -> tuple[int, ...]:
    """Return the axes over which the outputs sum to 1: before opset 13, all from the given one."""
    if g.graph.opset >= 13:
        return (g.axis(g.x),)
    return tuple(range(g.axis(g.x, default=1), g.rank(g.x)))


def _inside(g: NodeGradient, value: str, low: float, high: float, inside: str) -> str:
    """Return `inside` where a value lies between two bounds, and 0 elsewhere."""
    zero = g.scalar(0)
    above = g.builder.where_greater(value, g.scalar(low), inside, zero)
    return g.builder.op("Where", g.builder.op("Less", value, g.scalar(high)), above, zero)


ACTIVATIONS: dict[str, GradientRule] = {
    "Relu": relu,
    "ThresholdedRelu": thresholded_relu,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Elu": elu,
    "Selu": selu,
    "Celu": celu,
    "Sigmoid": sigmoid,
    "Tanh": tanh,
    "Softplus": softplus,
    "Softsign": softsign,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "Swish": swish,
    "Mish": mish,
    "Gelu": gelu,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
}
