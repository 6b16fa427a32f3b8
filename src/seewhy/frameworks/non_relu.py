"""Guided backpropagation's rule holds for ReLUs only: how other activations are reported, on every backend.

Between the tap and the logits, every ReLU passes a gradient only where both the gradient and the ReLU's input are
positive (Springenberg et al., arXiv 1412.6806, section 3.4). A final softmax or sigmoid comes after the logits; it is
bypassed and does not count.
"""

from collections.abc import Iterable
from typing import NamedTuple

from seewhy.errors import MethodError
from seewhy.types import GradientRule

GUIDED_RULES: tuple[GradientRule, ...] = ("guided", "guided-where-relu")
"""The gradient rules that guide ReLUs."""

HARD_SIGMOID = "hard sigmoid (a ReLU6 used as a gate)"

PRELU = "PReLU (a ReLU beside that of the negated values)"

WHERE = "choice by where(...)"

SQRT_2_OVER_PI = 0.7978845608
"""The factor before the tanh in the approximation of GELU."""


class NonReluActivation(NamedTuple):
    """An activation other than a ReLU, or an operation that may contain some.

    Attributes:
        name: What users call it.
        layer: The layer that it belongs to or directly precedes; None where that is unknown.
        is_opaque: The operation runs a graph of its own, whose ReLUs cannot be reached.
    """

    name: str
    layer: str | None
    is_opaque: bool = False


def check_activations(activations: Iterable[NonReluActivation], gradient_rule: GradientRule) -> None:
    """Refuse activations other than ReLUs, unless the rule leaves their gradients as they are.

    Raises:
        MethodError: Naming the first.
    """
    activations = list(activations)
    opaque = [activation for activation in activations if activation.is_opaque]
    if opaque:
        raise MethodError(
            f"Guided backpropagation cannot reach the ReLUs inside the {_describe(opaque)}. Use a method that takes "
            "the model as it is: saliency, smoothgrad or integrated_gradients."
        )
    if activations and gradient_rule == "guided":
        raise MethodError(
            "Guided backpropagation is a rule for ReLUs, and the model has another activation: "
            f"{_describe(activations)}. Use a method that takes the model as it is: saliency, smoothgrad or "
            "integrated_gradients. Or guide only the ReLUs and leave the gradients of other activations as they are: "
            "seewhy.methods.get('guided_backprop', others='pass')."
        )


def clamp_name(bound: float) -> str:
    """Name an activation that clamps values at a lower bound other than 0."""
    return f"clamp with the lower bound {bound:g} instead of 0"


def _describe(activations: list[NonReluActivation]) -> str:
    name, layer, _ = activations[0]
    place = f", in or just before the layer {layer!r}" if layer else ""
    return name + place + (f", and {len(activations) - 1} more" if len(activations) > 1 else "")
