"""Recipro-CAM (Byun and Lee, 2022)."""

from collections.abc import Iterator
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.methods.effect import has_effect
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray

GAUSSIAN = (0.25, 0.5, 0.25)
"""The paper's 3x3 Gaussian kernel along one axis; its corners are 1/16, its edges 1/8 and its centre is 1/4."""


def recipro_cam(
    capture: Capture,
    runner: Runner,
    *,
    mask: Literal["gaussian", "point"] = "gaussian",
    origin: Literal["zeros", "lowest"] = "zeros",
) -> FloatArray:
    """Score each position by what the head makes of the activations around that position alone.

    Section 3 of the paper, with M_p the mask of the position p, which is 0 but for a Gaussian kernel of 3x3 positions,
    cut off at the edges of the layer; and with Y_0 the score of activations that are 0 everywhere:

        Y_p = y^c(A * M_p)
        L^c_p = Y_p - Y_0       (in the paper: (Y_p - min_q Y_q) / (max_q Y_q - min_q Y_q))

    The paper subtracts the lowest score, so that every other position is positive, also where it lowers the score. With
    Y_0 the sign of a value has a meaning, and the heatmap of a target without evidence is 0. The division only scales
    the heatmap. The paper takes probabilities for y, as `score="probability"` does. The head is run once for each
    position, and once for Y_0. No gradient is computed.

    Args:
        capture: The activations of one image.
        runner: Runs the head.
        mask: "gaussian"; or "point", which keeps the position itself and nothing around it.
        origin: What is subtracted: "zeros", Y_0; or "lowest", the lowest score of a position, as in the paper.

    Returns:
        Raw heatmaps (1, T, *space), in units of the score; 0 where no mask changes the score.

    Reference:
        Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", 2022,
        arXiv 2209.14074.
    """
    kernel = GAUSSIAN if mask == "gaussian" else (1.0,)
    is_lowest = origin == "lowest"
    activations = np.asarray(capture.activations[0])
    space = activations.shape[:-1]

    def masked() -> Iterator[FloatArray]:
        if not is_lowest:
            yield np.zeros_like(activations)
        for position in np.ndindex(space):
            yield activations * _mask(position, space, kernel)[..., None]

    scores = runner.head_scores(masked(), int(np.prod(space)) + (not is_lowest)).astype(np.float64)
    by_position = scores if is_lowest else scores[1:]
    start = by_position.min(axis=0) if is_lowest else scores[0]
    heatmaps = (by_position - start) * has_effect(scores)
    return heatmaps.T.reshape(1, -1, *space).astype(np.float32)


def _mask(position: tuple[int, ...], space: tuple[int, ...], kernel: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the kernel around a position, 0 elsewhere, (*space)."""
    radius = len(kernel) // 2
    axes = []
    for centre, size in zip(position, space, strict=True):
        weights = np.zeros(size + 2 * radius, dtype=np.float32)
        weights[centre : centre + len(kernel)] = kernel
        axes.append(weights[radius : radius + size])
    return np.asarray(reduce(np.multiply.outer, axes))
