"""Relevance rank accuracy (CLEVR-XAI: Arras, Osman and Samek, Information Fusion 2022)."""

import numpy as np

from seewhy.evaluate.annotations import MasksLike, over_masks
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.types import BoolArray, DoubleArray


def relevance_rank(heatmaps: HeatmapsLike, masks: MasksLike) -> DoubleArray:
    """Return the share of the most relevant pixels that lie on the object, as many as it has pixels.

    The paper's rank accuracy, with the K pixels of the object and the K pixels of the highest relevance R = |L|:

        rank = | top-K pixels in the object | / K

    Higher is better. Of pixels with equal relevance at the border of the top K, the mean over all choices counts.

    Args:
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v); resized bilinearly to the masks.
        masks: bool (N, H, W) or (N, T, H, W), or a list with an array for each image.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap of zeros, or with NaN, and where there is no object.

    Raises:
        InputError: The heatmaps or masks have another shape.

    Reference:
        Arras, Osman and Samek, "CLEVR-XAI: A benchmark dataset for the ground truth evaluation of neural network
        explanations", Information Fusion 2022, arXiv 2003.07258.
    """
    return over_masks(_share_of_top, heatmaps, masks)


def _share_of_top(heatmap: DoubleArray, mask: BoolArray) -> float:
    relevance, count = np.abs(heatmap), int(mask.sum())
    lowest = np.partition(relevance.ravel(), -count)[-count]
    above, equal = relevance > lowest, relevance == lowest
    chosen = (count - above.sum()) / equal.sum()  # of the pixels with the lowest relevance among the top
    return float((above[mask].sum() + chosen * equal[mask].sum()) / count)
