"""The boxes around the regions of a heatmap with the strongest evidence."""

import numbers
from typing import Any

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.images import speckle
from seewhy.images.bounding_boxes import BoundingBox, bounding_boxes
from seewhy.images.geometry import Placement
from seewhy.images.normalization import normalize
from seewhy.types import BoolArray, FloatArray

BOX_SHARE = 0.15
"""The share of the maximum at which a region ends: 15% in section 3.2 of the Grad-CAM paper, on localization."""


def evidence_boxes(
    heatmap: FloatArray, placement: Placement, peak_quantile: float, threshold: float | None
) -> list[BoundingBox]:
    """Return the bounding boxes of the regions with the strongest evidence; see `Explanation.boxes`.

    Args:
        heatmap: (u, v), raw.
        placement: Where it lies on the image.
        peak_quantile: The quantile that becomes 1 when it is normalized; less than 1 for gradients by pixels, which are
            speckled and are smoothed first.
        threshold: As in `Explanation.boxes`.
    """
    return bounding_boxes(evidence_mask(heatmap, placement, peak_quantile, threshold))


def evidence_mask(
    heatmap: FloatArray, placement: Placement, peak_quantile: float, threshold: float | None
) -> BoolArray:
    """Return the regions that `evidence_boxes` puts boxes around, bool (H, W); its arguments are the same."""
    normalized = normalize(heatmap[None], peak_quantile, "max")
    if peak_quantile < 1:
        threshold = speckle.SHARE if threshold is None else threshold
        return at_least(placement.place(speckle.smooth_regions(normalized[0])), threshold)
    return at_least(placement.place(normalized)[0], BOX_SHARE if threshold is None else threshold)


def at_least(heatmap: FloatArray, share: float) -> BoolArray:
    """Return the pixels with at least this share of a heatmap's maximum, and more than 0."""
    return np.asarray((heatmap > 0) & (heatmap >= share * heatmap.max()))


def check_threshold(threshold: Any) -> None:
    """Raise OptionError unless a threshold is a share."""
    if isinstance(threshold, bool) or not isinstance(threshold, numbers.Real) or not 0 <= threshold <= 1:  # type: ignore[operator]
        raise OptionError(f"threshold is {short_repr(threshold)}; expected a number from 0 to 1.")
