"""How much of the scores bypasses a layer: what changes of them between two images while the layer's output does not.

A heatmap shows what passes through its layer. Where a skip connection, a class token or an auxiliary head leads past
it, the layer may carry little of the score, however large its gradients are.
"""

import numpy as np

from seewhy.types import FloatArray

MAX_BYPASS = 0.1
"""The share of a difference between two images' scores that may bypass a layer."""

EXACT = 1e-3
"""The share up to which nothing but rounding bypasses a layer."""

NO_DIFFERENCE = 1e-5
"""The difference between two images' scores, relative to the largest score, that is too small to tell."""


def measure_bypass(first: FloatArray, clamped: FloatArray, second: FloatArray) -> float | None:
    """Return which share of the difference between the scores of two images bypasses a layer.

    With the layer's activations A and the scores y, it is |y(0, A(1)) - y(1, A(1))| / |y(0, A(0)) - y(1, A(1))|, of the
    scores without their mean over the targets, which a softmax does not see.

    Args:
        first: (1, T), the scores of image 0.
        clamped: (1, T), those of image 0 with the activations of image 1.
        second: (1, T), the scores of image 1.

    Returns:
        0 for a layer that carries everything, 1 for one that carries nothing; None if the scores do not differ.
    """
    if not np.isfinite([first, clamped, second]).all():
        return None  # a check of what was captured says so
    difference, bypassed = distance(first, second), distance(clamped, second)
    if difference <= NO_DIFFERENCE * distance(second, 0 * second):
        return None
    return min(1.0, bypassed / difference)


def distance(scores: FloatArray, others: FloatArray) -> float:
    """Return how far scores (1, T) are from others, apart from what is the same for all targets."""
    values = scores.astype(np.float64) - others
    values = values - values.mean(axis=1, keepdims=True) if values.shape[1] > 1 else values
    return float(np.sqrt((values**2).sum()))
