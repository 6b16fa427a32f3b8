"""From a heatmap's own units to 0..1."""

import numpy as np

from seewhy.images.style import Normalization
from seewhy.types import FloatArray


def peak_values(heatmaps: FloatArray, quantile: float) -> FloatArray:
    """Return (T, 1, 1): what becomes 1 in each heatmap (T, u, v) that has no negative values; 0 in one of zeros.

    It is a quantile of the heatmap, and the maximum of one in which that quantile is 0.
    """
    return _highest(heatmaps, quantile, np.float32(0))


def normalize(heatmaps: FloatArray, quantile: float, normalization: Normalization = "max") -> FloatArray:
    """Scale heatmaps (T, u, v) to 0..1, each by its own peak; what speaks against a target becomes 0.

    Args:
        heatmaps: Raw; negative values count as 0.
        quantile: Which quantile of a heatmap is its peak; 1.0 for its maximum.
        normalization: As `Style` has it: what becomes 0, beside the peak that becomes 1.
    """
    heatmaps = np.maximum(heatmaps, 0)
    lowest = heatmaps.min(axis=(1, 2), keepdims=True) if normalization == "range" else np.float32(0)
    spans = _highest(heatmaps, quantile, lowest) - lowest
    result = np.zeros_like(heatmaps)
    np.divide(heatmaps - lowest, spans, out=result, where=spans > 0)
    return np.minimum(result, 1)


def _highest(heatmaps: FloatArray, quantile: float, lowest: FloatArray | np.float32) -> FloatArray:
    peaks = np.quantile(heatmaps, quantile, axis=(1, 2), keepdims=True).astype(np.float32)
    return np.asarray(np.where(peaks > lowest, peaks, heatmaps.max(axis=(1, 2), keepdims=True)))
