"""Entropy of a heatmap (Bhatt, Weller and Moura, IJCAI 2020)."""

import numpy as np

from seewhy.evaluate.heatmap_stack import HeatmapsLike, heatmap_stack
from seewhy.types import DoubleArray


def entropy(heatmaps: HeatmapsLike, *, size: tuple[int, int] | None = None) -> DoubleArray:
    """Return how spread out each heatmap is: the entropy of its shares, in nats.

    Definition 4 of the paper, with P(i) = |L_i| / sum_j |L_j|:

        complexity = - sum_i P(i) ln P(i)

    It is 0 for a map with one cell, and ln n for a constant map of n cells, so only maps of one size compare: give
    `size` for maps of several resolutions. Lower is better.

    Args:
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v).
        size: (h, w), to which the maps are resized first; None for their own resolution.

    Returns:
        float64 (N, T); NaN for a map of zeros, or with NaN.

    Raises:
        InputError: The heatmaps have another shape.

    Reference:
        Bhatt, Weller and Moura, "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020,
        arXiv 2005.00631.
    """
    return np.stack([_entropies(np.abs(maps)) for maps in heatmap_stack(heatmaps).resized(size)])


def _entropies(sizes: DoubleArray) -> DoubleArray:
    shares = sizes / sizes.sum(axis=(1, 2), keepdims=True)
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logarithms).sum(axis=(1, 2)))
