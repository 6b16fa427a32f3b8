"""Regions of heatmaps that are speckled: gradients by pixels vary from one pixel to the next.

The largest connected component of such a heatmap is a speck, or all of the image. A Gaussian makes a region of the
specks that lie close together, and the median is the level of those that lie everywhere.
"""

import numpy as np

from seewhy.interpolation import interpolate
from seewhy.types import FloatArray

SIGMA = 0.04
"""The standard deviation of the Gaussian, as a share of each side of the heatmap."""

SHARE = 0.5
"""The share of the maximum above the median at which a region ends, by default."""


ROUNDING = 1e-5
"""A heatmap that rises above its median by a smaller share of its maximum is flat."""


def smooth_regions(heatmap: FloatArray) -> FloatArray:
    """Smooth a heatmap, subtract its median, and scale it to its maximum.

    Args:
        heatmap: (u, v), without negative values.

    Returns:
        float32 (u, v) in 0..1; zeros where nothing rises above the median.
    """
    smoothed = interpolate(heatmap, [_gaussian(cells) for cells in heatmap.shape])
    regions = np.maximum(smoothed - np.median(smoothed), 0)
    peak = regions.max()
    is_flat = peak <= ROUNDING * smoothed.max()
    return np.zeros_like(smoothed) if is_flat else np.asarray(regions / peak, dtype=np.float32)


def _gaussian(cells: int) -> FloatArray:
    """Return the weight of each cell at each cell, (cells, cells); beyond the border, weights are left out."""
    distance = np.arange(cells)[:, None] - np.arange(cells)
    weights = np.exp(-0.5 * (distance / (SIGMA * cells)) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
