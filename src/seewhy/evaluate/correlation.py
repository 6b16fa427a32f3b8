"""How similar two maps or series are: correlations of values and of ranks, and structural similarity."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.types import DoubleArray

Similarity = Literal["spearman", "pearson", "ssim"]
"""Rank correlation, correlation, or the structural similarity of two maps."""

Compare = Callable[[DoubleArray, DoubleArray], float]
"""From two maps of one shape to their similarity, at most 1."""

WINDOW = 7
"""The side of the windows of the structural similarity, in pixels."""


def pearson(first: DoubleArray, second: DoubleArray) -> float:
    """Return the correlation of two arrays of one shape; NaN where one is constant."""
    a, b = (np.ravel(values) - np.mean(values) for values in (first, second))
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    tiny = 1e-12 * (np.abs(first).max(initial=0) * np.abs(second).max(initial=0)) * a.size
    return float((a * b).sum()) / size if size > tiny else float("nan")


def spearman(first: DoubleArray, second: DoubleArray) -> float:
    """Return the correlation of the ranks of two arrays of one shape, equal values sharing the mean of their ranks."""
    return pearson(ranks(first), ranks(second))


def ranks(values: DoubleArray) -> DoubleArray:
    """Return the rank of each value (n,), from 0; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[inverse.ravel()], dtype=np.float64)


def structural_similarity(first: DoubleArray, second: DoubleArray) -> float:
    """Return the mean structural similarity of two maps (h, w), each scaled to 0..1 by its range.

    Equation 13 of the paper, with means and variances over windows of 7 x 7 pixels, or of the smaller side:

        SSIM = (2 m_a m_b + c_1) (2 s_ab + c_2) / ((m_a^2 + m_b^2 + c_1) (s_a^2 + s_b^2 + c_2))

    Reference:
        Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity",
        IEEE TIP 2004.
    """
    a, b = _to_unit_range(first), _to_unit_range(second)
    window = min(WINDOW, *a.shape)
    unbiased = window**2 / max(1, window**2 - 1)
    mean_a, mean_b = _window_means(a, window), _window_means(b, window)
    variance_a = unbiased * (_window_means(a * a, window) - mean_a**2)
    variance_b = unbiased * (_window_means(b * b, window) - mean_b**2)
    covariance = unbiased * (_window_means(a * b, window) - mean_a * mean_b)
    c_1, c_2 = 0.01**2, 0.03**2
    similar = (2 * mean_a * mean_b + c_1) * (2 * covariance + c_2)
    return float(np.mean(similar / ((mean_a**2 + mean_b**2 + c_1) * (variance_a + variance_b + c_2))))


def similarity_of(name: str) -> Compare:
    """Return the similarity of this name, or raise OptionError."""
    known = {"spearman": spearman, "pearson": pearson, "ssim": structural_similarity}
    if name not in known:
        raise OptionError(f"similarity is {short_repr(name)}; expected {' or '.join(map(repr, known))}.")
    return known[name]


def similarities(compare: Compare, first: DoubleArray, second: DoubleArray) -> DoubleArray:
    """Return the similarity of each pair of maps (N, T, h, w); NaN where one of them is NaN."""
    pairs = zip(first.reshape(-1, *first.shape[2:]), second.reshape(-1, *second.shape[2:]), strict=True)
    values = [compare(a, b) if np.isfinite(a).all() and np.isfinite(b).all() else np.nan for a, b in pairs]
    return np.array(values, dtype=np.float64).reshape(first.shape[:2])


def _to_unit_range(values: DoubleArray) -> DoubleArray:
    span = values.max() - values.min()
    return np.asarray((values - values.min()) / span if span > 0 else np.zeros_like(values))


def _window_means(values: DoubleArray, window: int) -> DoubleArray:
    """Return the mean of each window that lies inside a map (h, w)."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, (window, window)).mean(axis=(2, 3)))
