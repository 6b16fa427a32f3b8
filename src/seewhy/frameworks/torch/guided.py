"""Guided backpropagation on PyTorch: what the ReLUs between the tap and the logits let back.

The recorded graph says which ReLUs there are, however they were called: as a module, a function, a method, in place.
Each is given a hook for this one run, which takes what is negative out of the gradient; its own derivative does the
rest. Nothing of the model is changed, and many targets can still go backwards together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from seewhy.frameworks.guided import HARD_SIGMOID, PRELU, WHERE, NonRelu, check_non_relu
from seewhy.frameworks.torch.dispatch import LOWER_BOUNDS
from seewhy.types import GradientRule, Tensor

OTHERS = {
    "CeluBackward": "CELU",
    "EluBackward": "ELU or SELU",
    "ErfBackward": "GELU",
    "ErfcBackward": "GELU",
    "ExpBackward": "exponential",
    "GeluBackward": "GELU",
    "GluBackward": "GLU",
    "HardshrinkBackward": "hardshrink",
    "HardsigmoidBackward": "hard sigmoid",
    "HardswishBackward": "hard SiLU (hard swish)",
    "LeakyReluBackward": "leaky ReLU",
    "LogSigmoidBackward": "log sigmoid",
    "LogSoftmaxBackward": "softmax",
    "MishBackward": "Mish",
    "PreluKernelBackward": "PReLU",
    "RreluWithNoiseBackward": "RReLU",
    "SafeSoftmaxBackward": "softmax",
    "SigmoidBackward": "sigmoid",
    "SiluBackward": "SiLU (swish)",
    "SoftmaxBackward": "softmax",
    "SoftplusBackward": "softplus",
    "SoftshrinkBackward": "softshrink",
    "TanhBackward": "tanh",
    "WhereBackward": WHERE,
}
"""Activations that are no ReLUs, by what PyTorch calls their way back, without its number."""

HIDING = "CheckpointFunctionBackward"
"""A part of the model that is run again on the way back: what is in it is not recorded."""


@dataclass(frozen=True)
class _Step:
    """A recorded operation, the layer it stands in or just before, and the operations that its values go to."""

    layer: str | None
    takers: list[Any]


def guide(logits: Tensor, tapped: Tensor, makers: dict[Any, str], gradient_rule: GradientRule) -> None:
    """Have every ReLU between the tap and the logits let back only what is positive.

    Args:
        logits: Recorded from the tap on.
        tapped: The tapped tensor.
        makers: Which layer made what was recorded.
        gradient_rule: Whether there may be other activations.

    Raises:
        MethodError: There are, and they may not be; or something hides what is in it.
    """
    steps = _compiled(logits.grad_fn, makers)
    on_path = _leading_to(tapped, steps)
    gates = _gates(on_path) | _parametric(on_path)
    kinds = {node: _other(node, gates) for node in on_path}
    found = (NonRelu(kind, steps[node].layer, kind.endswith(HIDING)) for node, kind in kinds.items() if kind)
    check_non_relu(found, gradient_rule)
    for node, kind in kinds.items():
        if kind is None and _least(node) == 0:
            node.register_prehook(_only_positive(_mask(node)))


def _compiled(last: Any, makers: dict[Any, str]) -> dict[Any, _Step]:
    """Return everything recorded, the last first."""
    steps: dict[Any, _Step] = {}
    waiting: list[tuple[Any, Any]] = [(last, None)]
    while waiting:
        node, taker = waiting.pop()
        if node in steps:
            steps[node].takers.append(taker)
            continue
        layer = makers.get(node) or (steps[taker].layer if taker is not None else None)
        steps[node] = _Step(layer, [] if taker is None else [taker])
        waiting.extend((giver, node) for giver in _givers(node))
    return steps


def _leading_to(tapped: Tensor, steps: dict[Any, _Step]) -> list[Any]:
    """Return what was computed of the tapped tensor; trainable weights are recorded beside it."""
    waiting = [node for node in steps if getattr(node, "variable", None) is tapped]
    found: dict[Any, None] = {}
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = None
            waiting.extend(steps[node].takers)
    return list(found)


def _other(node: Any, gates: dict[Any, str]) -> str | None:
    """Return the name of an activation that is no ReLU; None for a ReLU and for all that is no activation."""
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        return f"torch.autograd.Function {_name(node)}"
    least = _least(node)
    if least is not None and least != 0:
        return f"cut at {least:g}, which is not 0"
    return gates.get(node) or OTHERS.get(_name(node))


def _least(node: Any) -> float | None:
    """Return where values are cut off from below; None where they are not."""
    name = _name(node)
    if name == "ReluBackward":
        return 0.0
    least = getattr(node, LOWER_BOUNDS[name]) if name in LOWER_BOUNDS else _constant_side(node)
    if isinstance(least, torch.Tensor):
        return float(least.max()) if least.numel() and least.max() == least.min() else None
    return None if least is None else float(least)


def _constant_side(node: Any) -> Tensor | None:
    """Return what does not depend on anything recorded in `maximum(x, constant)`."""
    if _name(node) != "MaximumBackward":
        return None
    mine, others = (giver for giver, _ in node.next_functions)
    if mine is None:
        return node._saved_self
    return node._saved_other if others is None else None


def _mask(node: Any) -> Tensor | None:
    """Return where the input was positive, for those whose own derivative is not 0 at 0."""
    if _name(node) not in ("ClampBackward", "ClampMinBackward", "MaximumBackward"):
        return None
    # A copy: the hook must not hold on to the node, which holds on to the hook.
    values = node._saved_other if node.next_functions[0][0] is None else node._saved_self
    return values.detach() > 0


def _only_positive(mask: Tensor | None) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def hook(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        positive = gradient.clamp(min=0)
        return (positive if mask is None else positive * mask,)

    return hook


def _gates(nodes: list[Any]) -> dict[Any, str]:
    """Find hard sigmoids written as a ReLU6 and a division by 6: `relu6(x + 3) / 6`, `x * relu6(x + 3) / 6`."""
    found = {}
    for node in nodes:
        if _is_sixth(node):
            behind = list(_givers(node))
            behind += [giver for each in behind if _name(each) == "MulBackward" for giver in _givers(each)]
            found.update({each: HARD_SIGMOID for each in behind if _name(each) == "HardtanhBackward"})
    return found


def _is_sixth(node: Any) -> bool:
    """Whether this divides by 6, or multiplies by a sixth."""
    factor = {"DivBackward": 6.0, "MulBackward": 1 / 6}.get(_name(node))
    other = getattr(node, "_saved_other", None)
    return factor is not None and other is not None and other.numel() == 1 and abs(float(other) - factor) < 1e-3


def _parametric(nodes: list[Any]) -> dict[Any, str]:
    """Find PReLUs written as two ReLUs: `relu(x) - a * relu(-x)`."""
    relus = {node: next(_givers(node), None) for node in nodes if _name(node) == "ReluBackward"}
    negations = [giver for giver in relus.values() if giver is not None and _name(giver) == "NegBackward"]
    sources = {*negations, *(source for each in negations for source in _givers(each))}
    return {node: PRELU for node, giver in relus.items() if giver in sources}


def _givers(node: Any) -> Iterator[Any]:
    return (giver for giver, _ in node.next_functions if giver is not None)


def _name(node: Any) -> str:
    """Return what PyTorch calls an operation's way back: "ReluBackward" of "ReluBackward0"."""
    return str(node.name()).rstrip("0123456789")
