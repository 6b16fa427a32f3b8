"""The Gini index of a heatmap (Chalasani et al., ICML 2020)."""

import numpy as np

from seewhy.evaluate.heatmap_stack import HeatmapsLike, heatmap_stack
from seewhy.types import DoubleArray


def gini(heatmaps: HeatmapsLike, *, size: tuple[int, int] | None = None) -> DoubleArray:
    """Return how sparse each heatmap is: the Gini index of its absolute values.

    Section 2 of the paper, with the absolute values v_(1) <= ... <= v_(d) of the map's d cells:

        G = 1 - 2 sum_k v_(k) / |v|_1 (d - k + 1/2) / d

    It is 0 for a constant map, and 1 - 1/d for a map with one cell. Higher is better.

    Args:
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v).
        size: (h, w), to which the maps are resized first; None for their own resolution.

    Returns:
        float64 (N, T) in 0..1; NaN for a map of zeros, or with NaN.

    Raises:
        InputError: The heatmaps have another shape.

    Reference:
        Chalasani et al., "Concise Explanations of Neural Networks using Adversarial Training", ICML 2020,
        arXiv 1810.06583.
    """
    return np.stack([_gini(np.abs(maps)) for maps in heatmap_stack(heatmaps).resized(size)])


def _gini(sizes: DoubleArray) -> DoubleArray:
    values = np.sort(sizes.reshape(len(sizes), -1), axis=1)
    count = values.shape[1]
    weights = (count - np.arange(1, count + 1) + 0.5) / count
    return np.asarray(1 - 2 * (values * weights).sum(axis=1) / values.sum(axis=1))
