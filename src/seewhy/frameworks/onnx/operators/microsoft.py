"""Gradients of operators of ONNX Runtime's own domain, which its optimizer puts into files."""

from seewhy.frameworks.onnx.operators.activation import fast_gelu, gelu, swish
from seewhy.frameworks.onnx.operators.convolution import conv_input_gradient
from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def fast_gelu_without_bias(g: NodeGradient) -> InputGradients:
    """GELU, approximated by tanh, of x."""
    if g.optional_input(1):
        raise NoGradientRuleError("it adds a bias")
    return fast_gelu(g)


def quick_gelu(g: NodeGradient) -> InputGradients:
    """Gradient of y = x sigmoid(alpha x)."""
    return swish(g, default_alpha=1.702)


def fused_conv(g: NodeGradient) -> InputGradients:
    """A convolution and a ReLU; another tensor may be added before the latter."""
    activation, gradient = g.attribute("activation", ""), g.gradient
    if activation not in ("", "Relu"):
        raise NoGradientRuleError(f"its activation is {activation}")
    if activation:
        gradient = g.builder.where_greater(g.y, g.scalar(0), gradient, g.scalar(0))
    return conv_input_gradient(g, gradient) if g.needs(0) else None, None, None, gradient if g.needs(3) else None


MICROSOFT: dict[str, GradientRule] = {
    "com.microsoft.Gelu": gelu,
    "com.microsoft.FastGelu": fast_gelu_without_bias,
    "com.microsoft.QuickGelu": quick_gelu,
    "com.microsoft.FusedConv": fused_conv,
}
