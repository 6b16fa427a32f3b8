"""Bringing small maps to the size of the input, bilinearly, along any number of axes.

As in `images/geometry.py`, a map divides what it covers into equal cells, whose values hold at the cells' centres.
"""

from collections.abc import Sequence

import numpy as np

from seewhy.types import FloatArray


def bilinear_weights(cells: int, pixels: int) -> FloatArray:
    """Return (pixels, cells): how much each cell counts at each pixel's centre. Every row adds up to 1."""
    position = (np.arange(pixels) + 0.5) / pixels * cells - 0.5  # in cells: cell i has its centre at i
    position = np.clip(position, 0, cells - 1)  # beyond the outermost centres the outermost values hold
    return np.asarray(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))), dtype=np.float32)


def combine(values: FloatArray, weights: Sequence[FloatArray]) -> FloatArray:
    """Resize along every axis in turn.

    Args:
        values: A map, one axis for each of `weights`.
        weights: For each axis (pixels, cells).

    Returns:
        The map with `pixels` where it had `cells`.
    """
    for axis, matrix in enumerate(weights):
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return values
