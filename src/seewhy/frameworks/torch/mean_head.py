"""Heads that read only the spatial mean of a layer, found in PyTorch's autograd graph, and their closed form."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.autograd.graph import GradientEdge

from seewhy.frameworks.torch.private_api import mean_axes
from seewhy.types import NativeTensor

VALUE_PRESERVING = ("CloneBackward0", "AliasBackward0", "ToCopyBackward0")
"""The autograd nodes of functions that keep every value."""

MEAN = "MeanBackward1"
"""The autograd node of a mean over some axes; adaptive pooling to one position is such a mean too."""


def pooled_mean(scores: NativeTensor, tapped: NativeTensor, space: Iterable[int]) -> GradientEdge | None:
    """Return the gradient edge of a tensor's spatial mean; None if the scores depend on more than that mean.

    Args:
        scores: (N, T), computed from `tapped` with gradients recorded.
        tapped: A leaf.
        space: The spatial axes of `tapped`.
    """
    consumers = _consumers_by_node(scores)
    node = next((node for node in consumers if getattr(node, "variable", None) is tapped), None)
    while node is not None:
        (node,) = consumers[node] if len(consumers[node]) == 1 else (None,)
        if node is not None and node.name() == MEAN:
            return GradientEdge(node, 0) if mean_axes(node, tapped.ndim) == set(space) else None
        if node is not None and node.name() not in VALUE_PRESERVING:
            return None
    return None


def closed_form(scores: NativeTensor, mean: GradientEdge, activations: NativeTensor) -> NativeTensor:
    """Return the sum over channels of activations times gradients, at every position and for every score.

    Where the scores depend only on the mean of the activations, this is the directional derivative of each score by
    the mean, along the activations of each position. PyTorch has backward passes only; differentiating the backward
    pass gives the forward derivative.

    Args:
        scores: (N, T), with gradients recorded.
        mean: The result of `pooled_mean`.
        activations: (N, *space, K).

    Returns:
        (N, T, *space).
    """
    images, *space, channels = activations.shape
    seeds = torch.zeros_like(scores, requires_grad=True)
    (gradients,) = torch.autograd.grad(scores, mean, seeds, create_graph=True)  # linear in the seeds
    positions = activations.reshape(images, -1, channels).movedim(1, 0)
    directions = (positions / len(positions)).to(gradients.dtype).reshape(len(positions), *gradients.shape)
    (derivatives,) = torch.autograd.grad(gradients, seeds, directions, is_grads_batched=True)
    sums: NativeTensor = derivatives.movedim(0, -1).reshape(images, -1, *space)
    return sums


def _consumers_by_node(scores: NativeTensor) -> dict[Any, list[Any]]:
    """Return every node in the autograd graph of the scores, with the nodes that consume its output."""
    consumers: dict[Any, list[Any]] = {scores.grad_fn: []}
    pending: list[Any] = [scores.grad_fn]
    while pending:
        node = pending.pop()
        for producer, _ in node.next_functions:
            if producer is None:
                continue
            if producer not in consumers:
                consumers[producer] = []
                pending.append(producer)
            consumers[producer].append(node)
    return consumers
