"""Guided backpropagation's rule is for ReLUs alone: what is said of other activations, in every framework.

Between the tap and the logits every ReLU lets a gradient back only where the gradient is positive and the ReLU's input
was (Springenberg et al., arXiv 1412.6806, section 3.4). A final softmax or sigmoid that is seen through lies behind
the logits and does not count.
"""

from collections.abc import Iterable
from typing import NamedTuple

from seewhy.errors import MethodError
from seewhy.types import GradientRule

GUIDED: tuple[GradientRule, ...] = ("guided", "guided-where-relu")
"""The gradient rules that guide ReLUs."""

HARD_SIGMOID = "hard sigmoid (a ReLU6 used as a gate)"

PRELU = "PReLU (a ReLU beside that of the negated values)"

WHERE = "choice by where(...)"


class NonRelu(NamedTuple):
    """An activation that is no ReLU, or something in which there may be some.

    Attributes:
        kind: What it is called.
        layer: The layer it stands in or just before, as far as that can be told.
        is_hidden: What it holds cannot be reached, so that it cannot be passed on request either.
    """

    kind: str
    layer: str | None
    is_hidden: bool = False


def check_non_relu(others: Iterable[NonRelu], gradient_rule: GradientRule) -> None:
    """Refuse what is no ReLU, unless gradients are to pass it as they are.

    Raises:
        MethodError: Naming the first.
    """
    others = list(others)
    hidden = [other for other in others if other.is_hidden]
    if hidden:
        raise MethodError(
            f"Guided backpropagation cannot reach the ReLUs inside the {_named(hidden)}. Use a method that takes "
            "the model as it is: saliency, smoothgrad or integrated_gradients."
        )
    if others and gradient_rule == "guided":
        raise MethodError(
            f"Guided backpropagation is a rule for ReLUs, and the model has another activation: {_named(others)}. "
            "Use a method that takes the model as it is: saliency, smoothgrad or integrated_gradients. Or guide the "
            "ReLUs alone and let gradients pass the others as they are: seewhy.methods.get('guided_backprop', "
            "others='pass')."
        )


def _named(others: list[NonRelu]) -> str:
    kind, layer, _ = others[0]
    where = f", in or just before the layer {layer!r}" if layer else ""
    return kind + where + (f", and {len(others) - 1} more" if len(others) > 1 else "")
