"""From a heatmap's own units to 0..1."""

import numpy as np

from seewhy.types import FloatArray


def peaks_of(heatmaps: FloatArray, quantile: float) -> FloatArray:
    """Return (T, 1, 1): what becomes 1 in each heatmap (T, u, v) that has no negative values; 0 in one of zeros.

    It is a quantile of the heatmap, and the maximum of one in which that quantile is 0.
    """
    peaks = np.quantile(heatmaps, quantile, axis=(1, 2), keepdims=True).astype(np.float32)
    return np.where(peaks > 0, peaks, heatmaps.max(axis=(1, 2), keepdims=True))


def scaled(heatmaps: FloatArray, quantile: float) -> FloatArray:
    """Scale heatmaps (T, u, v) to 0..1, each by its own peak; what speaks against a target becomes 0."""
    heatmaps = np.maximum(heatmaps, 0)
    peaks = peaks_of(heatmaps, quantile)
    result = np.zeros_like(heatmaps)
    np.divide(heatmaps, peaks, out=result, where=peaks > 0)
    return np.minimum(result, 1)
