"""Guided backpropagation in ONNX models: the gradient rules of ReLUs, and a record of other activations."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from seewhy.frameworks.non_relu import WHERE, NonReluActivation, clamp_name
from seewhy.frameworks.onnx.operators.node_gradient import GradientRule, InputGradients, NodeGradient
from seewhy.frameworks.onnx.operators.table import GRADIENTS

NON_RELU = {
    "LeakyRelu": "leaky ReLU",
    "PRelu": "PReLU",
    "Elu": "ELU",
    "Selu": "SELU",
    "Celu": "CELU",
    "Mish": "Mish",
    "Gelu": "GELU",
    "com.microsoft.Gelu": "GELU",
    "com.microsoft.FastGelu": "GELU",
    "Erf": "GELU",
    "com.microsoft.QuickGelu": "GELU",
    "com.microsoft.BiasGelu": "GELU",
    "Swish": "swish",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard sigmoid",
    "HardSwish": "hard swish",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "ThresholdedRelu": "thresholded ReLU",
    "Where": WHERE,
    "Min": "minimum",
    "Abs": "absolute value",
}
"""Operators that are activations other than a ReLU, by what users call them."""


def guided_rules(found: list[NonReluActivation]) -> dict[str, GradientRule]:
    """Return gradient rules that guide ReLUs; other activations keep theirs, and are added to `found`."""
    others: dict[str, GradientRule] = {
        operator: partial(_recorded, found=found, name=name, rule=GRADIENTS[operator])
        for operator, name in NON_RELU.items()
        if operator in GRADIENTS
    }
    relus: dict[str, GradientRule] = {
        "Relu": _guided,
        "Clip": partial(_clip, found=found),
        "Max": partial(_maximum, found=found),
    }
    return {**GRADIENTS, **others, **relus}


def _recorded(g: NodeGradient, found: list[NonReluActivation], name: str, rule: GradientRule) -> InputGradients:
    found.append(NonReluActivation(name, g.y))
    return rule(g)


def _guided(g: NodeGradient, rule: Callable[[NodeGradient], InputGradients] | None = None) -> InputGradients:
    """Pass positive gradients only, to where the input is positive."""
    positive = g.builder.op("Relu", g.gradient)
    rule = rule or GRADIENTS[g.node.op_type]
    return rule(replace(g, output_gradients=(positive, *g.output_gradients[1:])))


def _clip(g: NodeGradient, found: list[NonReluActivation]) -> InputGradients:
    low = g.optional_input(1)
    bound = None if low is None else g.graph.constant(low)
    if bound is None or np.ravel(bound).tolist() != [0.0]:
        name = "clamp without a lower bound" if bound is None else clamp_name(float(np.ravel(bound)[0]))
        return _recorded(g, found, name, GRADIENTS["Clip"])
    return _guided(g)


def _maximum(g: NodeGradient, found: list[NonReluActivation]) -> InputGradients:
    """Guide max(x, 0); a maximum of what the model computes is another activation."""
    constants = [g.graph.constant(value) for value in g.inputs]
    bounds = [np.ravel(constant) for constant in constants if constant is not None]
    if len(g.inputs) == 2 and len(bounds) == 1 and not bounds[0].any():
        return _guided(g, GRADIENTS["Max"])
    return _recorded(g, found, "maximum", GRADIENTS["Max"])
