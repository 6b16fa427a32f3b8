"""A small transformer in plain NumPy, with its attention maps and their gradients by finite differences.

`in_keras` and `in_torch` build it, in many ways; whichever way, its maps and heatmaps have to be what this file says.
"""

from functools import cache
from types import SimpleNamespace

import numpy as np

PATCH, GRID, WIDTH, HEADS, CLASSES = 3, (2, 3), 8, 2, 4
SIZE = tuple(PATCH * side for side in GRID)
STEP = 1e-5
EPSILON = 1e-5


def weights(blocks=2):
    """Return seeded weights: the patches', the class token, each block's four products, and the head's."""
    random = np.random.default_rng(4)

    def draw(*shape):
        return (random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    return SimpleNamespace(
        patches=draw(PATCH * PATCH * 3, WIDTH),
        token=draw(1, WIDTH)[0],
        blocks=[{name: draw(WIDTH, WIDTH) * 1.5 for name in ("query", "key", "value", "out")} for _ in range(blocks)],
        head=draw(WIDTH, CLASSES),
    )


def images(count=2, seed=1):
    """Return a seeded batch, (N, *SIZE, 3)."""
    return np.random.default_rng(seed).normal(size=(count, *SIZE, 3)).astype(np.float32)


def split(tensor):
    """Return (N, L, WIDTH) as (N, HEADS, L, WIDTH / HEADS)."""
    return tensor.reshape(*tensor.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)


def normalized(tensor):
    """Return (N, L, WIDTH) with mean 0 and variance 1 over the last axis."""
    centred = tensor - tensor.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)


def run(inputs, tokens="first", changes=None):
    """Return the logits (N, C) and the maps, with a change of some maps, by number, added to them."""
    model, count = weights(), len(inputs)
    patches = inputs.astype(np.float64).reshape(count, GRID[0], PATCH, GRID[1], PATCH, 3).swapaxes(2, 3)
    x = patches.reshape(count, GRID[0] * GRID[1], -1) @ model.patches
    if tokens == "first":
        x = np.concatenate([np.broadcast_to(model.token, (count, 1, WIDTH)), x], axis=1)
    maps = []
    for number, block in enumerate(model.blocks):
        normal = normalized(x)
        query, key, value = (split(normal @ block[name]) for name in ("query", "key", "value"))
        exponentials = np.exp(query @ key.swapaxes(2, 3) / np.sqrt(WIDTH / HEADS))
        attention = exponentials / exponentials.sum(axis=-1, keepdims=True) + (changes or {}).get(number, 0.0)
        maps.append(attention)
        x = x + (attention @ value).transpose(0, 2, 1, 3).reshape(*x.shape) @ block["out"]
    read = x[:, 0] if tokens == "first" else x.mean(axis=1)
    return read @ model.head, maps


def gradients(inputs, target, tokens="first"):
    """Return dy/dA of each map (N, H, L, L), by finite differences; a changed map changes those after it."""
    return differences(inputs.tobytes(), inputs.shape, target, tokens)


@cache
def differences(data, shape, target, tokens):
    inputs = np.frombuffer(data, np.float32).reshape(shape)
    _, maps = run(inputs, tokens)
    found = []
    for number, attention in enumerate(maps):
        gradient = np.zeros_like(attention)
        for entry in np.ndindex(attention.shape[1:]):
            change = np.zeros_like(attention)
            change[(slice(None), *entry)] = STEP
            up, down = (run(inputs, tokens, {number: sign * change})[0][:, target] for sign in (1, -1))
            gradient[(slice(None), *entry)] = (up - down) / (2 * STEP)
        found.append(gradient)
    return found


def folded(relevance, tokens="first"):
    """Return the mean row of relevance (N, L, L) that the head reads, on the grid of patches."""
    row = relevance[:, 0, 1:] if tokens == "first" else relevance.mean(axis=1)
    return row.reshape(len(row), *GRID)


def gradient_rollout(inputs, target, tokens="first"):
    """Return the heatmap (N, h, w): R <- R + mean_h ReLU(dy/dA * A) R, from R = I; without I for a mean of tokens."""
    _, maps = run(inputs, tokens)
    start = np.eye(maps[0].shape[-1])
    relevance = np.broadcast_to(start, (len(inputs), *start.shape))
    for attention, gradient in zip(maps, gradients(inputs, target, tokens), strict=True):
        relevance = relevance + np.maximum(gradient * attention, 0).mean(axis=1) @ relevance
    return folded(relevance if tokens == "first" else relevance - start, tokens)


def attention_rollout(inputs, tokens="first"):
    """Return the heatmap (N, h, w): R <- (A / 2 + I / 2) R, from R = I."""
    _, maps = run(inputs, tokens)
    relevance = np.eye(maps[0].shape[-1])
    for attention in maps:
        relevance = (attention.mean(axis=1) / 2 + np.eye(len(relevance[0])) / 2) @ relevance
    return folded(relevance, tokens)


def legrad(inputs, target, tokens="first"):
    """Return the heatmap (N, h, w): the mean over layers, heads and queries of ReLU(dy/dA)."""
    by_layer = [np.maximum(each, 0).mean(axis=(1, 2)) for each in gradients(inputs, target, tokens)]
    mean = np.mean(by_layer, axis=0)[:, 1 if tokens == "first" else 0 :]
    return mean.reshape(len(mean), *GRID)
