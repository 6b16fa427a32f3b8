"""The overlap of the object's box with that of the cut heatmap (Grad-CAM: Selvaraju et al., ICCV 2017)."""

from collections.abc import Sequence

import numpy as np

from seewhy.evaluate.annotations import MasksLike, over_masks
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.images.bounding_boxes import BoundingBox, bounding_boxes
from seewhy.methods.checks import fraction
from seewhy.types import BoolArray, DoubleArray


def box_iou(heatmaps: HeatmapsLike, masks: MasksLike, *, threshold: float = 0.15) -> DoubleArray:
    """Return how well the box around the brightest part of each heatmap overlaps with the box of the object.

    Section 4.1 of the paper: the heatmap is cut at 15% of its maximum, and the box of the largest connected part is
    compared with the box of the object:

        IoU = |A and B| / |A or B|

    The paper counts a hit where it is at least 0.5. Higher is better. Of several objects, which are the connected parts
    of a mask, the one with the best overlap counts.

    Args:
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v); resized bilinearly to the masks.
        masks: bool (N, H, W) or (N, T, H, W), or a list with an array for each image; see also `boxes_to_masks`.
        threshold: Where the heatmap is cut, as a share of its maximum.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap without positive values, or with NaN, and where there is no object.

    Raises:
        InputError: The heatmaps or masks have another shape.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
        arXiv 1610.02391.
    """
    threshold = fraction("threshold", threshold)

    def overlap(heatmap: DoubleArray, mask: BoolArray) -> float:
        peak = heatmap.max()
        if peak <= 0:
            return float("nan")
        return best_iou(bounding_boxes(heatmap >= threshold * peak)[:1], bounding_boxes(mask))

    return over_masks(overlap, heatmaps, masks)


def best_iou(boxes: Sequence[BoundingBox], objects: Sequence[BoundingBox]) -> float:
    """Return the highest overlap of any box with any object's; 0 where there is no box."""
    if not boxes:
        return 0.0
    first, second = np.array(boxes)[:, None], np.array(objects)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(axis=-1) for each in (first, second)]
    return float((shared / (areas[0] + areas[1] - shared)).max())
