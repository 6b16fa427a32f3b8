"""Gradient-weighted attention rollout (arXiv 2103.15679), written apart from SeeWhy, for torch modules.

Attention maps are taken where the model computes a softmax: `softmax` and `scaled_dot_product_attention` of torch are
replaced, while it runs, by plain formulas that keep what they return.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.zoo.layers import scores_of


def gradient_rollout(model: Any, inputs: Any, grid: tuple[int, int]) -> Any:
    """Return the heatmap (u, v) of class 0; None where the model's attention is not one chain of maps of one size.

    The rows of the relevance are those of the tokens that the head reads: rows of the last map with a gradient.
    """
    import torch

    with torch.enable_grad(), _kept_maps() as maps:
        score = scores_of(model(torch.tensor(inputs)))[0, 0]
        lengths = {tuple(each.shape[-2:]) for each in maps}
        if len(lengths) != 1 or len(set(*lengths)) != 1 or any(each.ndim != 4 for each in maps):
            return None
        gradients = torch.autograd.grad(score, maps, allow_unused=True)
    length, positions = maps[0].shape[-1], grid[0] * grid[1]
    if any(gradient is None for gradient in gradients) or not 0 <= length - positions <= 8:
        return None
    relevance = torch.eye(length)
    for attention, gradient in zip(maps, gradients, strict=True):
        relevance = relevance + (attention * gradient).clamp(min=0).mean(dim=1)[0].detach() @ relevance
    read = (gradients[-1][0].abs().amax(dim=(0, 2)) > 0).numpy()
    others = length - positions
    if read[:others].any() and read[others:].any():
        return None  # the head reads class token and positions, in parts that this does not know
    rows = (relevance - torch.eye(length)).numpy()[np.flatnonzero(read), others:]
    return rows.mean(axis=0).reshape(grid)


@contextlib.contextmanager
def _kept_maps() -> Iterator[list[Any]]:
    """Keep every softmax over the last of four axes; only those of square maps are attention of tokens to tokens."""
    import torch
    import torch.nn.functional as functional

    maps: list[Any] = []
    softmax, method, fused = functional.softmax, torch.Tensor.softmax, functional.scaled_dot_product_attention

    def keep(values: Any, dim: Any = None, *_: Any, **__: Any) -> Any:
        result = method(values, dim)
        if result.ndim == 4 and dim in (-1, 3) and result.requires_grad:
            maps.append(result)
        return result

    def attend(query: Any, key: Any, value: Any, attn_mask: Any = None, *_: Any, scale: Any = None, **__: Any) -> Any:
        products = query @ key.transpose(-2, -1) * (scale or 1 / math.sqrt(query.shape[-1]))
        return keep(products if attn_mask is None else products + attn_mask, -1) @ value

    functional.softmax, torch.Tensor.softmax, functional.scaled_dot_product_attention = keep, keep, attend
    try:
        yield maps
    finally:
        functional.softmax, torch.Tensor.softmax, functional.scaled_dot_product_attention = softmax, method, fused
