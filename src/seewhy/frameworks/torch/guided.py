"""Guided backpropagation on PyTorch: a hook on the autograd node of every ReLU between the tap and the logits.

The autograd graph shows every ReLU, whether the model calls it as a module, a function or a method, in place or not. A
hook that exists for this run only sets negative gradients to 0, and the node's own derivative does the rest. The model
is not changed, and several targets can still share a backward pass.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from seewhy.frameworks.non_relu import (
    HARD_SIGMOID,
    PRELU,
    WHERE,
    NonReluActivation,
    check_activations,
    clamp_name,
)
from seewhy.frameworks.torch.private_api import LOWER_BOUNDS, saved_other, saved_self
from seewhy.types import GradientRule, NativeTensor

NON_RELU_ACTIVATIONS = {
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
"""The name of each activation other than a ReLU, by the name of its autograd node without the number."""

OPAQUE_NODE = "CheckpointFunctionBackward"
"""The autograd node of a checkpoint, which runs its part of the model in the backward pass only."""


@dataclass(frozen=True)
class _NodeInfo:
    """The layer that an autograd node belongs to or directly precedes, and the nodes that consume its output."""

    layer: str | None
    consumers: list[Any]


def guide_relus(
    logits: NativeTensor, tapped: NativeTensor, layers_by_node: dict[Any, str], gradient_rule: GradientRule
) -> None:
    """Make every ReLU between the tap and the logits pass only positive gradients.

    Args:
        logits: The logits, computed from the tapped tensor with gradients recorded.
        tapped: The tapped tensor, a leaf.
        layers_by_node: The layer whose output each autograd node computes.
        gradient_rule: Whether other activations are allowed.

    Raises:
        MethodError: There are other activations and the rule does not allow them, or a checkpoint may contain some.
    """
    graph = _autograd_graph(logits.grad_fn, layers_by_node)
    head = _nodes_from(tapped, graph)
    composed = _hard_sigmoids(head) | _prelus(head)
    names = {node: _non_relu_name(node, composed) for node in head}
    check_activations(
        (
            NonReluActivation(name, graph[node].layer, is_opaque=name.endswith(OPAQUE_NODE))
            for node, name in names.items()
            if name
        ),
        gradient_rule,
    )
    for node, name in names.items():
        if name is None and _lower_bound(node) == 0:
            node.register_prehook(_positive_gradient_hook(_positive_mask(node)))


def _autograd_graph(last: Any, layers_by_node: dict[Any, str]) -> dict[Any, _NodeInfo]:
    """Return every node of the autograd graph, the last first."""
    graph: dict[Any, _NodeInfo] = {}
    pending: list[tuple[Any, Any]] = [(last, None)]
    while pending:
        node, consumer = pending.pop()
        if node in graph:
            graph[node].consumers.append(consumer)
            continue
        layer = layers_by_node.get(node) or (graph[consumer].layer if consumer is not None else None)
        graph[node] = _NodeInfo(layer, [] if consumer is None else [consumer])
        pending.extend((producer, node) for producer in _producers(node))
    return graph


def _nodes_from(tapped: NativeTensor, graph: dict[Any, _NodeInfo]) -> list[Any]:
    """Return the nodes that depend on the tapped tensor. The graph also holds those of trainable weights."""
    pending = [node for node in graph if getattr(node, "variable", None) is tapped]
    head: dict[Any, None] = {}
    while pending:
        node = pending.pop()
        if node not in head:
            head[node] = None
            pending.extend(graph[node].consumers)
    return list(head)


def _non_relu_name(node: Any, composed: dict[Any, str]) -> str | None:
    """Return the name of an activation other than a ReLU; None for a ReLU and for any other operation.

    Args:
        node: An autograd node.
        composed: The names of activations that the model composes of ReLUs, by node.
    """
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        return f"torch.autograd.Function {_name(node)}"
    bound = _lower_bound(node)
    if bound is not None and bound != 0:
        return clamp_name(bound)
    return composed.get(node) or NON_RELU_ACTIVATIONS.get(_name(node))


def _lower_bound(node: Any) -> float | None:
    """Return the lower bound that an operation clamps values at; None for an operation that does not clamp."""
    name = _name(node)
    if name == "ReluBackward":
        return 0.0
    bound = getattr(node, LOWER_BOUNDS[name]) if name in LOWER_BOUNDS else _constant_operand(node)
    if isinstance(bound, torch.Tensor):
        return float(bound.max()) if bound.numel() and bound.max() == bound.min() else None
    return None if bound is None else float(bound)


def _constant_operand(node: Any) -> NativeTensor | None:
    """Return the operand of `maximum(x, constant)` that needs no gradient."""
    if _name(node) != "MaximumBackward":
        return None
    first, second = (producer for producer, _ in node.next_functions)
    if first is None:
        return saved_self(node)
    return saved_other(node) if second is None else None


def _positive_mask(node: Any) -> NativeTensor | None:
    """Return where the input is positive; None for an operation whose derivative is 0 at 0 anyway."""
    if _name(node) not in ("ClampBackward", "ClampMinBackward", "MaximumBackward"):
        return None
    # A copy: the hook must not hold the node, which holds the hook.
    values = saved_other(node) if node.next_functions[0][0] is None else saved_self(node)
    return values.detach() > 0


def _positive_gradient_hook(
    mask: NativeTensor | None,
) -> Callable[[tuple[NativeTensor, ...]], tuple[NativeTensor, ...]]:
    def hook(gradients: tuple[NativeTensor, ...]) -> tuple[NativeTensor, ...]:
        (gradient,) = gradients
        positive = gradient.clamp(min=0)
        return (positive if mask is None else positive * mask,)

    return hook


def _hard_sigmoids(nodes: list[Any]) -> dict[Any, str]:
    """Find hard sigmoids composed of a ReLU6 and a division by 6: `relu6(x + 3) / 6`, `x * relu6(x + 3) / 6`."""
    names = {}
    for node in nodes:
        if _divides_by_6(node):
            producers = list(_producers(node))
            producers += [
                factor for product in producers if _name(product) == "MulBackward" for factor in _producers(product)
            ]
            names.update({producer: HARD_SIGMOID for producer in producers if _name(producer) == "HardtanhBackward"})
    return names


def _divides_by_6(node: Any) -> bool:
    """Whether the operation divides by 6, or multiplies by a sixth."""
    factor = {"DivBackward": 6.0, "MulBackward": 1 / 6}.get(_name(node))
    operand = saved_other(node)  # a tensor, or a number in the overloads for scalars
    if factor is None or operand is None or (isinstance(operand, torch.Tensor) and operand.numel() != 1):
        return False
    return isinstance(operand, (torch.Tensor, float, int)) and abs(float(operand) - factor) < 1e-3


def _prelus(nodes: list[Any]) -> dict[Any, str]:
    """Find PReLUs composed of two ReLUs: `relu(x) - a * relu(-x)`."""
    relus = {node: next(_producers(node), None) for node in nodes if _name(node) == "ReluBackward"}
    negations = [producer for producer in relus.values() if producer is not None and _name(producer) == "NegBackward"]
    sources = {*negations, *(source for negation in negations for source in _producers(negation))}
    return {node: PRELU for node, producer in relus.items() if producer in sources}


def _producers(node: Any) -> Iterator[Any]:
    """Yield the nodes that produce the inputs of a node's operation."""
    return (producer for producer, _ in node.next_functions if producer is not None)


def _name(node: Any) -> str:
    """Return the name of an autograd node without its number: "ReluBackward" of "ReluBackward0"."""
    return str(node.name()).rstrip("0123456789")
