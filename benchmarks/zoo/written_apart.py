"""The default's methods besides Grad-CAM, written apart from SeeWhy.

Attention maps are taken where a torch module computes a softmax: `softmax` and `scaled_dot_product_attention` of torch
are replaced, while it runs, by plain formulas that keep what they return. Layers of Keras are asked for them.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.zoo.layers import scores_of

STEPS = 16
"""Of the default's integrated gradients."""

MOST_OTHERS = 8
"""Tokens besides those of the patches."""


def attention_heatmap(name: str, model: Any, inputs: Any, grid: tuple[int, int]) -> Any:
    """Return the heatmap (u, v) of class 0; None where no maps are found.

    The rows of the relevance are those of the tokens that the head reads: rows of the last map with a gradient.

    Args:
        name: "gradient_rollout" (arXiv 2103.15679), or "legrad_rollout", the product of LeGrad (2404.03214) and
            attention rollout (2005.00928).
        model: A torch module, or a Keras model on TensorFlow.
        inputs: Of one image.
        grid: The positions of the heatmap.
    """
    found = _keras_maps(model, inputs) if hasattr(model, "get_config") else _torch_maps(model, inputs)
    attention, gradient = _chain(*found, grid[0] * grid[1])
    if not attention:
        return None
    others = attention[0].shape[-1] - grid[0] * grid[1]
    of = {"gradient_rollout": _gradient_rollout, "legrad_rollout": _legrad_rollout}[name]
    return of(attention, gradient)[others:].reshape(grid)


def _chain(attention: list[Any], gradient: list[Any], positions: int) -> tuple[list[Any], list[Any]]:
    """Return the maps (H, q, k) from the first one over the image's tokens on, without those of channels between."""
    kept: tuple[list[Any], list[Any]] = ([], [])
    tokens = 0
    for values, slopes in zip(attention, gradient, strict=True):
        queries, keys = values.shape[-2:]
        is_first = not tokens and 0 <= keys - positions <= MOST_OTHERS
        if is_first or keys == tokens or (queries == 1 and keys == tokens + 1):
            tokens = queries if 1 < queries < keys else keys
            kept[0].append(values)
            kept[1].append(slopes)
    return kept


def _rollout(matrices: list[Any], skip: float, share: float) -> Any:
    """Return the rows of the product of all layers: of each of the last tokens, what it reads of the first ones.

    Args:
        matrices: (q, k) of each layer. One row is that of a class token, which is the first of the keys.
        skip: The weight of a token itself.
        share: The weight of a matrix.
    """
    rows = np.eye(matrices[0].shape[1])
    for matrix in matrices:
        queries, keys = matrix.shape
        if keys == len(rows) + 1:  # a class token joins, and holds nothing of the image
            rows = np.concatenate([np.zeros((1, rows.shape[1])), rows])
        if queries == keys:
            rows = skip * rows + share * matrix @ rows
        elif queries == 1:
            rows[0] = skip * rows[0] + share * matrix[0] @ rows
        else:
            rows = share * matrix @ rows
    return rows


def _read(gradient: list[Any], rows: Any) -> Any:
    """Return the mean of the rows of the tokens that the head reads."""
    is_read = np.abs(gradient[-1]).max(axis=(0, 2)) > 0
    return rows[: len(is_read)][is_read].mean(axis=0)


def _gradient_rollout(attention: list[Any], gradient: list[Any]) -> Any:
    products = [np.maximum(each * slope, 0).mean(axis=0) for each, slope in zip(attention, gradient, strict=True)]
    rows = _rollout(products, 1, 1)
    return _read(gradient, rows - np.eye(len(rows)) if rows.shape[0] == rows.shape[1] else rows)


def _legrad_rollout(attention: list[Any], gradient: list[Any]) -> Any:
    tokens = attention[0].shape[-1]
    counted = next((number for number, each in enumerate(attention, 1) if 1 < each.shape[-2] < each.shape[-1]), None)
    slopes = [np.maximum(slope, 0).mean(axis=(0, 1))[-tokens:] for slope in gradient[:counted]]
    rows = _rollout([each.mean(axis=0) for each in attention], 0.5, 0.5)
    return _read(gradient, rows) * np.mean(slopes, axis=0)


def _torch_maps(model: Any, inputs: Any) -> tuple[list[Any], list[Any]]:
    """Return the attention maps (H, q, k) of a torch module, and the gradients of class 0."""
    import torch

    with torch.enable_grad(), _kept_maps() as maps:
        score = scores_of(model(torch.tensor(inputs)))[0, 0]
        gradients = torch.autograd.grad(score, maps, allow_unused=True)
    pairs = [(each, slope) for each, slope in zip(maps, gradients, strict=True) if slope is not None]
    return [each[0].detach().double().numpy() for each, _ in pairs], [slope[0].double().numpy() for _, slope in pairs]


def _keras_maps(model: Any, inputs: Any) -> tuple[list[Any], list[Any]]:
    """Return those of a Keras model on TensorFlow: its layers of multi-head attention return their maps if asked."""
    import keras
    import tensorflow as tf

    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.MultiHeadAttention)]
    maps: list[Any] = []

    def asked(call: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            output, scores = call(*arguments, **{**options, "return_attention_scores": True})
            maps.append(scores)
            return (output, scores) if options.get("return_attention_scores") else output

        return run

    for layer in layers:
        object.__setattr__(layer, "call", asked(layer.call))
    try:
        with tf.GradientTape() as tape:
            tape.watch(image := tf.constant(inputs))
            score = scores_of(model(image, training=False))[0, 0]
        gradients = tape.gradient(score, maps)
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")
    return [np.float64(each[0]) for each in maps], [np.float64(each[0]) for each in gradients]


def integrated_gradients(model: Any, inputs: Any) -> Any:
    """Return the positive part of integrated gradients (h, w) of class 0 (arXiv 1703.01365), from an input of zeros."""
    points = [inputs * np.float32((step + 0.5) / STEPS) for step in range(STEPS)]
    gradient = _keras_gradient if hasattr(model, "get_config") else _torch_gradient
    products = inputs * np.mean([gradient(model, point) for point in points], axis=0)
    return np.maximum(products[0].sum(axis=-1 if products.shape[-1] == 3 else 0), 0)


def _torch_gradient(model: Any, inputs: Any) -> Any:
    import torch

    image = torch.tensor(inputs, requires_grad=True)
    with torch.enable_grad():
        return torch.autograd.grad(scores_of(model(image))[0, 0], image)[0].numpy()


def _keras_gradient(model: Any, inputs: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(image := tf.constant(inputs))
        score = scores_of(model(image, training=False))[0, 0]
    return tape.gradient(score, image).numpy()


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
