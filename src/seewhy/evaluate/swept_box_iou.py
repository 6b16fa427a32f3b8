"""The overlap of boxes over all thresholds (MaxBoxAccV2: Choe et al., CVPR 2020)."""

from collections.abc import Sequence

import numpy as np

from seewhy.evaluate.annotations import MasksLike, over_masks
from seewhy.evaluate.box_iou import best_iou
from seewhy.evaluate.curve import Curve
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.images.bounding_boxes import bounding_boxes
from seewhy.methods.checks import integer
from seewhy.types import BoolArray, DoubleArray

THRESHOLDS = 20


def swept_box_iou(heatmaps: HeatmapsLike, masks: MasksLike, *, thresholds: int = THRESHOLDS) -> DoubleArray:
    """Return the best overlap with the box of the object that any threshold of the heatmap reaches.

    It does not depend on how a method scales its maps, as the overlap at one threshold does. It is an upper bound,
    since the threshold is chosen for each image; `max_box_accuracy` chooses one for all of them, as the paper does.
    Higher is better.

    Args:
        heatmaps: As for `box_iou`, and so are the masks.
        thresholds: The number of thresholds, at equal distances from 0 to the maximum of each heatmap.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap without positive values, or with NaN, and where there is no object.

    Raises:
        InputError: The heatmaps or masks have another shape.

    Reference:
        Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, arXiv 2001.07437.
    """
    return box_iou_curve(heatmaps, masks, thresholds=thresholds).values


def box_iou_curve(heatmaps: HeatmapsLike, masks: MasksLike, *, thresholds: int = THRESHOLDS) -> Curve:
    """Return the overlap with the box of the object over the threshold; the arguments are those of `swept_box_iou`.

    At each threshold, the box of every connected part of the heatmap is compared with that of every object, and the
    best overlap counts, as in MaxBoxAccV2.
    """
    cuts = np.arange(integer("thresholds", thresholds)) / thresholds
    undefined = np.full(len(cuts), np.nan)

    def overlaps(heatmap: DoubleArray, mask: BoolArray) -> DoubleArray:
        peak = heatmap.max()
        if peak <= 0:
            return undefined
        objects = bounding_boxes(mask)
        return np.array([best_iou(bounding_boxes((heatmap >= cut * peak) & (heatmap > 0)), objects) for cut in cuts])

    return Curve(cuts, over_masks(overlaps, heatmaps, masks, undefined=undefined), "threshold", "IoU", "maximum")


def max_box_accuracy(curve: Curve, deltas: Sequence[float] = (0.3, 0.5, 0.7)) -> float:
    """Return MaxBoxAccV2 of a data set: the share of hits at the best threshold, averaged over what counts as a hit.

    Equation 3 of the paper, averaged over the overlaps delta as its extended version does:

        mean_delta max_threshold mean_images 1[ IoU >= delta ]

    Args:
        curve: What `box_iou_curve` returns. Images without a value are left out.
        deltas: The overlaps that count as a hit.

    Returns:
        A number in 0..1; NaN where no image has a value.
    """
    overlaps = curve.y.reshape(-1, len(curve.x))
    overlaps = overlaps[np.isfinite(overlaps).all(axis=1)]
    if not len(overlaps):
        return float("nan")
    return float(np.mean([(overlaps >= delta).mean(axis=0).max() for delta in deltas]))


def mask_iou_curve(heatmaps: HeatmapsLike, masks: MasksLike, *, thresholds: int = THRESHOLDS) -> Curve:
    """Return the overlap of the heatmap above a threshold with the mask of the object itself, over the threshold."""
    cuts = np.arange(integer("thresholds", thresholds)) / thresholds
    undefined = np.full(len(cuts), np.nan)

    def overlaps(heatmap: DoubleArray, mask: BoolArray) -> DoubleArray:
        peak = heatmap.max()
        if peak <= 0:
            return undefined
        parts = [(heatmap >= cut * peak) & (heatmap > 0) for cut in cuts]
        return np.array([(part & mask).sum() / (part | mask).sum() for part in parts])

    return Curve(cuts, over_masks(overlaps, heatmaps, masks, undefined=undefined), "threshold", "IoU")
