"""Relevance mass accuracy (CLEVR-XAI: Arras, Osman and Samek, Information Fusion 2022)."""

import numpy as np

from seewhy.evaluate.annotations import MasksLike, over_masks
from seewhy.evaluate.energy_pointing_game import share_inside
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.types import DoubleArray


def relevance_mass(heatmaps: HeatmapsLike, masks: MasksLike) -> DoubleArray:
    """Return the share of each heatmap's relevance that lies on the object.

    The paper's mass accuracy, with relevance R = |L|, the norm with which the paper pools the channels of a map:

        mass = sum_{i in object} R_i / sum_i R_i

    Higher is better. It differs from the energy-based pointing game only for signed maps: evidence against a target
    counts as relevance here, and as none there.

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
    return over_masks(lambda heatmap, mask: share_inside(np.abs(heatmap), mask), heatmaps, masks)
