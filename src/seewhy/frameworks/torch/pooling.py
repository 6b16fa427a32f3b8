"""A head that takes nothing of a layer but its mean over space, found in what PyTorch recorded of it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.autograd.graph import GradientEdge

from seewhy.types import Tensor

PASSING = ("CloneBackward0", "AliasBackward0", "ToCopyBackward0")
"""What is recorded of functions that hand every value on."""

MEAN = "MeanBackward1"
"""What is recorded of a mean over some of the axes; adaptive pooling to one position is such a mean too."""


def pooled_mean(scores: Tensor, tapped: Tensor, space: Iterable[int]) -> GradientEdge | None:
    """Return where the mean of a tensor over all of its space is handed on, if the scores depend on that alone.

    Args:
        scores: What was recorded, down to `tapped`.
        tapped: A leaf.
        space: Its axes of space.
    """
    readers = _readers(scores)
    (node,) = [each for each in readers if getattr(each, "variable", None) is tapped] or [None]
    while node is not None:
        (node,) = readers[node] if len(readers[node]) == 1 else (None,)
        if node is not None and node.name() == MEAN:
            return GradientEdge(node, 0) if _axes(node, tapped.ndim) == set(space) else None
        if node is not None and node.name() not in PASSING:
            return None
    return None


def closed_form(scores: Tensor, mean: GradientEdge, activations: Tensor) -> Tensor:
    """Return the sum over channels of activations times gradients, at every position and for every score.

    Where the scores depend on the mean of the activations alone, that is the derivative of the score along the
    activations of each position, as if they were the mean's. PyTorch goes backwards; going backwards twice is going
    forwards.

    Args:
        scores: (N, T), with what was recorded of them.
        mean: What `pooled_mean` returned.
        activations: (N, *space, K).

    Returns:
        (N, T, *space).
    """
    images, *space, channels = activations.shape
    seeds = torch.zeros_like(scores, requires_grad=True)
    (gradients,) = torch.autograd.grad(scores, mean, seeds, create_graph=True)  # linear in the seeds
    positions = activations.reshape(images, -1, channels).movedim(1, 0)
    along = (positions / len(positions)).to(gradients.dtype).reshape(len(positions), *gradients.shape)
    (found,) = torch.autograd.grad(gradients, seeds, along, is_grads_batched=True)
    sums: Tensor = found.movedim(0, -1).reshape(images, -1, *space)
    return sums


def _readers(scores: Tensor) -> dict[Any, list[Any]]:
    """Return every node that was recorded of the scores, and those that read what it gave."""
    readers: dict[Any, list[Any]] = {scores.grad_fn: []}
    waiting: list[Any] = [scores.grad_fn]
    while waiting:
        node = waiting.pop()
        for following, _ in node.next_functions:
            if following is None:
                continue
            if following not in readers:
                readers[following] = []
                waiting.append(following)
            readers[following].append(node)
    return readers


def _axes(node: Any, rank: int) -> set[int]:
    """Return the axes that a mean is over; PyTorch keeps them as unsigned numbers."""
    return {_signed(axis) % rank for axis in node._saved_dim or range(rank)}


def _signed(axis: int) -> int:
    return axis - 2**64 if axis >= 2**63 else axis
