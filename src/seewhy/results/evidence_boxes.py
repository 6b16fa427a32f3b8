"""The boxes around the regions of a heatmap with the strongest evidence."""

import numpy as np

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
    normalized = normalize(heatmap[None], peak_quantile, "max")
    if peak_quantile < 1:
        threshold = speckle.SHARE if threshold is None else threshold
        return bounding_boxes(at_least(placement.place(speckle.smooth_regions(normalized[0])), threshold))
    return bounding_boxes(at_least(placement.place(normalized)[0], BOX_SHARE if threshold is None else threshold))


def at_least(heatmap: FloatArray, share: float) -> BoolArray:
    """Return the pixels with at least this share of a heatmap's maximum, and more than 0."""
    return np.asarray((heatmap > 0) & (heatmap >= share * heatmap.max()))
