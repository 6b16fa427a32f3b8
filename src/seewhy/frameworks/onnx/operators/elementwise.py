"""Gradients of arithmetic and of functions of single elements."""

import math

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def add(g: NodeGradient) -> InputGradients:
    """Gradient of y = a + b + ..."""
    return [g.sum_to(g.gradient, name) if g.needs(index) else None for index, name in enumerate(g.inputs)]


def subtract(g: NodeGradient) -> InputGradients:
    """Gradient of y = a - b."""
    a, b = g.inputs
    return (
        g.sum_to(g.gradient, a) if g.needs(0) else None,
        g.sum_to(g.builder.op("Neg", g.gradient), b) if g.needs(1) else None,
    )


def multiply(g: NodeGradient) -> InputGradients:
    """Gradient of y = a b."""
    a, b = g.inputs
    return (
        g.sum_to(g.builder.mul(g.gradient, b), a) if g.needs(0) else None,
        g.sum_to(g.builder.mul(g.gradient, a), b) if g.needs(1) else None,
    )


def divide(g: NodeGradient) -> InputGradients:
    """Gradient of y = a / b; dy/db = -y / b."""
    (a, b), build = g.inputs, g.builder
    quotient = build.div(g.gradient, b)
    return (
        g.sum_to(quotient, a) if g.needs(0) else None,
        g.sum_to(build.op("Neg", build.mul(quotient, g.y)), b) if g.needs(1) else None,
    )


def mean(g: NodeGradient) -> InputGradients:
    """Gradient of y = (a + b + ...) / n."""
    part = g.builder.mul(g.gradient, g.scalar(1 / len(g.inputs)))
    return [g.sum_to(part, name) if g.needs(index) else None for index, name in enumerate(g.inputs)]


def power(g: NodeGradient) -> InputGradients:
    """Gradient of y = x^e; dy/dx = e x^(e - 1), and 0 where e is 0; dy/de = y log x, and 0 where x is 0."""
    (x, exponent), build = g.inputs, g.builder
    zero, e = g.scalar(0), g.convert(exponent, of=exponent, to=x)
    of_x = of_exponent = None
    if g.needs(0):
        slope = build.mul(e, build.op("Pow", x, build.sub(e, g.scalar(1))))
        of_x = g.sum_to(build.mul(g.gradient, build.op("Where", build.op("Equal", e, zero), zero, slope)), x)
    if g.needs(1):
        slope = build.op("Where", build.op("Equal", x, zero), zero, build.mul(g.y, build.op("Log", x)))
        of_exponent = g.convert(g.sum_to(build.mul(g.gradient, slope), exponent), of=x, to=exponent)
    return of_x, of_exponent


def largest(g: NodeGradient) -> InputGradients:
    """Gradient of y = max(a, b, ...) or min(a, b, ...); equal ones share the gradient, as in torch.maximum."""
    build = g.builder
    selected = [build.cast(build.op("Equal", name, g.y), g.graph.dtype(g.x)) for name in g.inputs]
    part = build.div(g.gradient, build.total(selected))
    return [
        g.sum_to(build.mul(part, mask), name) if g.needs(index) else None
        for index, (name, mask) in enumerate(zip(g.inputs, selected, strict=True))
    ]


def where(g: NodeGradient) -> InputGradients:
    """Gradient of y = a where the condition holds, and b elsewhere."""
    condition, a, b = g.inputs
    zero = g.scalar(0, like=a)
    return (
        None,
        g.sum_to(g.builder.op("Where", condition, g.gradient, zero), a) if g.needs(1) else None,
        g.sum_to(g.builder.op("Where", condition, zero, g.gradient), b) if g.needs(2) else None,
    )


def clip(g: NodeGradient) -> InputGradients:
    """Gradient of y = min(max(x, low), high); 0 at the bounds, as for ReLU6."""
    inside = g.gradient
    if low := g.optional_input(1):
        inside = g.builder.op("Where", g.builder.op("Greater", g.x, low), inside, g.scalar(0))
    if high := g.optional_input(2):
        inside = g.builder.op("Where", g.builder.op("Less", g.x, high), inside, g.scalar(0))
    return (inside,)


def identity(g: NodeGradient) -> InputGradients:
    """Gradient of y = x."""
    return (g.gradient,)


def cast(g: NodeGradient) -> InputGradients:
    """Gradient of y = x in another floating-point type."""
    return (g.convert(g.gradient, of=g.y, to=g.x),)


def dropout(g: NodeGradient) -> InputGradients:
    """Gradient of y = x, in inference mode."""
    training = g.constant_input(2, "training mode")
    if training is not None and bool(training):
        raise NoGradientRuleError("it is in training mode")
    return (g.gradient,)


def negative(g: NodeGradient) -> InputGradients:
    """Gradient of y = -x."""
    return (g.builder.op("Neg", g.gradient),)


def square_root(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = 1 / (2 y)."""
    return (g.builder.div(g.gradient, g.builder.mul(g.scalar(2), g.y)),)


def reciprocal(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = -y^2."""
    return (g.builder.op("Neg", g.builder.mul(g.gradient, g.builder.mul(g.y, g.y))),)


def exponential(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = y."""
    return (g.builder.mul(g.gradient, g.y),)


def logarithm(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = 1 / x."""
    return (g.builder.div(g.gradient, g.x),)


def absolute(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = sign x, which is 0 at 0."""
    return (g.builder.mul(g.gradient, g.builder.op("Sign", g.x)),)


def error_function(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = 2 / sqrt(pi) exp(-x^2)."""
    bell = g.builder.op("Exp", g.builder.op("Neg", g.builder.mul(g.x, g.x)))
    return (g.builder.mul(g.gradient, g.builder.mul(bell, g.scalar(2 / math.sqrt(math.pi)))),)


def sine(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = cos x."""
    return (g.builder.mul(g.gradient, g.builder.op("Cos", g.x)),)


def cosine(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = -sin x."""
    return (g.builder.op("Neg", g.builder.mul(g.gradient, g.builder.op("Sin", g.x))),)


def arctangent(g: NodeGradient) -> InputGradients:
    """Gradient: dy/dx = 1 / (1 + x^2)."""
    return (g.builder.div(g.gradient, g.builder.add(g.scalar(1), g.builder.mul(g.x, g.x))),)


ELEMENTWISE: dict[str, GradientRule] = {
    "Add": add,
    "Sum": add,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "Mean": mean,
    "Pow": power,
    "Max": largest,
    "Min": largest,
    "Where": where,
    "Clip": clip,
    "Identity": identity,
    "Cast": cast,
    "CastLike": cast,
    "Dropout": dropout,
    "Neg": negative,
    "Sqrt": square_root,
    "Reciprocal": reciprocal,
    "Exp": exponential,
    "Log": logarithm,
    "Abs": absolute,
    "Erf": error_function,
    "Sin": sine,
    "Cos": cosine,
    "Atan": arctangent,
}
