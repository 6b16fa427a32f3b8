"""The pointing game (Zhang et al., ECCV 2016)."""

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluate.annotations import MasksLike, over_masks
from seewhy.evaluate.heatmap_stack import HeatmapsLike, is_defined
from seewhy.methods.checks import not_negative
from seewhy.types import BoolArray, DoubleArray


def pointing_game(heatmaps: HeatmapsLike, masks: MasksLike, *, tolerance: float = 15) -> DoubleArray:
    """Return whether the highest value of each heatmap lies on the object, or near it: 1 or 0.

    Section 4.2 of the paper counts the hits on a data set, and divides them by the number of images. Higher is better.

    Args:
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v); resized bilinearly to the masks.
        masks: bool (N, H, W) or (N, T, H, W), or a list with an array for each image; see also `boxes_to_masks`.
        tolerance: How far from the object a hit may be, in pixels of the masks; 15 in the paper.

    Returns:
        float64 (N, T), 0 or 1; the share of hits where several pixels have the highest value. NaN for a heatmap that is
        constant, has no positive values, or holds NaN, and where there is no object.

    Raises:
        InputError: The heatmaps or masks have another shape.

    Reference:
        Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016, arXiv 1608.00507.
    """
    tolerance = not_negative("tolerance", tolerance)

    def share_of_hits(heatmap: DoubleArray, mask: BoolArray) -> float:
        # Where nothing is positive, the highest values are the zeros around the part that the model saw.
        if not is_defined(heatmap) or heatmap.max() <= 0:
            return float("nan")
        peaks, on_object = np.argwhere(heatmap == heatmap.max()), mask[heatmap == heatmap.max()]
        if tolerance and not on_object.all():
            on_object |= [_is_near(mask, peak, tolerance) for peak in peaks]
        return float(on_object.mean())

    return over_masks(share_of_hits, heatmaps, masks)


def _is_near(mask: BoolArray, peak: NDArray[np.intp], tolerance: float) -> bool:
    """Whether a pixel of the mask lies within a distance of a point."""
    first, last = np.maximum(0, np.floor(peak - tolerance)).astype(int), np.ceil(peak + tolerance).astype(int) + 1
    window = mask[first[0] : last[0], first[1] : last[1]]
    distances = (np.argwhere(window) + first - peak) ** 2
    return bool((distances.sum(axis=1) <= tolerance**2).any())
