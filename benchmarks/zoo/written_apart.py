"""The default's methods besides Grad-CAM, written apart from SeeWhy, for torch modules.

Attention maps are taken where the model computes a softmax: `softmax` and `scaled_dot_product_attention` of torch are
replaced, while it runs, by plain formulas that keep what they return.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.zoo.layers import scores_of

STEPS = 16
"""Of the default's integrated gradients."""


def attention_heatmap(name: str, model: Any, inputs: Any, grid: tuple[int, int]) -> Any:
    """Return the heatmap (u, v) of class 0; None where the model's attention is not one chain of maps of one size.

    The rows of the relevance are those of the tokens that the head reads: rows of the last map with a gradient.

    Args:
        name: "gradient_rollout" (arXiv 2103.15679), or "legrad_rollout", the product of LeGrad (2404.03214) and
            attention rollout (2005.00928).
        model: A torch module.
        inputs: Of one image.
        grid: The positions of the heatmap.
    """
    import torch

    with torch.enable_grad(), _kept_maps() as maps:
        score = scores_of(model(torch.tensor(inputs)))[0, 0]
        lengths = {tuple(each.shape[-2:]) for each in maps}
        if len(lengths) != 1 or len(set(*lengths)) != 1 or any(each.ndim != 4 for each in maps):
            return None
        gradients = torch.autograd.grad(score, maps, allow_unused=True)
    others = maps[0].shape[-1] - grid[0] * grid[1]
    if any(gradient is None for gradient in gradients) or not 0 <= others <= 8:
        return None
    attention = [each[0].detach().double().numpy() for each in maps]
    gradient = [each[0].double().numpy() for each in gradients]
    read = np.abs(gradient[-1]).max(axis=(0, 2)) > 0
    if read[:others].any() and read[others:].any():
        return None  # the head reads class token and positions, in parts that this does not know
    of = {"gradient_rollout": _gradient_rollout, "legrad_rollout": _legrad_rollout}[name]
    return of(attention, gradient, read)[others:].reshape(grid)


def _gradient_rollout(attention: list[Any], gradient: list[Any], read: Any) -> Any:
    identity = np.eye(len(read))
    relevance = identity
    for each, slope in zip(attention, gradient, strict=True):
        relevance = relevance + np.maximum(each * slope, 0).mean(axis=0) @ relevance
    return (relevance - identity)[read].mean(axis=0)


def _legrad_rollout(attention: list[Any], gradient: list[Any], read: Any) -> Any:
    identity = np.eye(len(read))
    rollout = identity
    for each in attention:
        rollout = (each.mean(axis=0) + identity) / 2 @ rollout
    legrad = sum(np.maximum(slope, 0).sum(axis=(0, 1)) / slope[:, :, 0].size for slope in gradient)
    return rollout[read].mean(axis=0) * legrad / len(gradient)


def integrated_gradients(model: Any, inputs: Any) -> Any:
    """Return the positive part of integrated gradients (h, w) of class 0 (arXiv 1703.01365), from an input of zeros."""
    import torch

    image = torch.tensor(inputs)
    total = torch.zeros_like(image)
    for step in range(STEPS):
        point = (image * ((step + 0.5) / STEPS)).requires_grad_()
        with torch.enable_grad():
            total += torch.autograd.grad(scores_of(model(point))[0, 0], point)[0]
    return np.maximum((image * total / STEPS).sum(dim=1)[0].numpy(), 0)


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
