"""Normalizing heatmaps: from a method's own units to 0..1."""

import numpy as np

from seewhy.images.style import Normalization
from seewhy.types import FloatArray


def peak_values(heatmaps: FloatArray, quantile: float) -> FloatArray:
    """Return the value of each heatmap that normalizes to 1.

    Args:
        heatmaps: (T, *space), without negative values.
        quantile: The quantile of a heatmap that is its peak; 1.0 for its maximum.

    Returns:
        float32 (T, 1, ...): the quantile, or the maximum where the quantile is 0; 0 for a heatmap of zeros.
    """
    return _peaks(heatmaps, quantile, np.float32(0))


def normalized_range(heatmap: FloatArray, quantile: float, normalization: Normalization = "max") -> tuple[float, float]:
    """Return the raw values that normalize to 0 and to 1, of one heatmap (*space); equal for one without a span."""
    heatmaps = np.maximum(heatmap, 0)[None]
    lowest = _lowest(heatmaps) if normalization == "range" else np.zeros((1,) * heatmaps.ndim, np.float32)
    return float(lowest.item()), float(_peaks(heatmaps, quantile, lowest).item())


def normalize(heatmaps: FloatArray, quantile: float, normalization: Normalization = "max") -> FloatArray:
    """Scale each heatmap to 0..1 by its own peak; negative values become 0.

    Args:
        heatmaps: (T, *space), in the method's units.
        quantile: The quantile of a heatmap that is its peak; 1.0 for its maximum.
        normalization: "max" maps 0 to 0 and the peak to 1; "range" maps the minimum to 0 and the peak to 1.

    Returns:
        float32 (T, *space) in 0..1; zeros for a heatmap without a span to scale.
    """
    heatmaps = np.maximum(heatmaps, 0)
    lowest = _lowest(heatmaps) if normalization == "range" else np.float32(0)
    spans = _peaks(heatmaps, quantile, lowest) - lowest
    normalized = np.zeros_like(heatmaps)
    np.divide(heatmaps - lowest, spans, out=normalized, where=spans > 0)
    return np.minimum(normalized, 1)


def _peaks(heatmaps: FloatArray, quantile: float, lowest: FloatArray | np.float32) -> FloatArray:
    """Return the quantile of each heatmap, or its maximum where the quantile is no higher than `lowest`."""
    space = tuple(range(1, heatmaps.ndim))
    if quantile == 1:
        return np.asarray(heatmaps.max(axis=space, keepdims=True))
    peaks = np.quantile(heatmaps, quantile, axis=space, keepdims=True).astype(np.float32)
    return np.asarray(np.where(peaks > lowest, peaks, heatmaps.max(axis=space, keepdims=True)))


def _lowest(heatmaps: FloatArray) -> FloatArray:
    return np.asarray(heatmaps.min(axis=tuple(range(1, heatmaps.ndim)), keepdims=True))
