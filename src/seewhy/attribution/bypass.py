"""How much of the scores bypasses a layer: what changes of them between two images while the layer's output does not.

A heatmap shows what passes through its layer. Where a skip connection, a class token or an auxiliary head leads past
it, the layer may carry little of the score, however large its gradients are.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seewhy.types import FloatArray

MAX_BYPASS = 0.1
"""The share of a difference between two images' scores that may bypass a layer."""

EXACT = 1e-3
"""The share up to which nothing but rounding bypasses a layer."""

NO_DIFFERENCE = 1e-5
"""The difference between two images' scores, relative to the largest score, that is too small to tell."""

Scores = Callable[[list[int], list[int]], FloatArray]
"""Returns the scores (M, T) of images by number, each with the layer's activations of another image, by number."""


def measure_bypass(scores: Scores) -> float | None:
    """Return which share of the difference between the scores of images 0 and 1 bypasses a layer.

    With the layer's activations A and the scores y, it is |y(0, A(1)) - y(1, A(1))| / |y(0, A(0)) - y(1, A(1))|, of the
    scores without their mean over the targets, which a softmax does not see.

    Returns:
        0 for a layer that carries everything, 1 for one that carries nothing; None if the scores do not differ.
    """
    first, clamped, second = _centred(scores([0, 0, 1], [0, 1, 1]))
    difference, bypassed = _size(first - second), _size(clamped - second)
    if not np.isfinite([difference, bypassed]).all() or difference <= NO_DIFFERENCE * _size(second):
        return None
    if bypassed > EXACT * difference:  # not by drawing random numbers
        (again,) = _centred(scores([1], [1]))
        bypassed = max(0.0, bypassed - _size(again - second))
    return bypassed / difference


def _centred(scores: FloatArray) -> NDArray[np.float64]:
    values = scores.astype(np.float64)
    return values - values.mean(axis=1, keepdims=True) if values.shape[1] > 1 else values


def _size(values: NDArray[np.float64]) -> float:
    return float(np.sqrt((values**2).sum()))
