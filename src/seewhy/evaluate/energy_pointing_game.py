"""The energy-based pointing game (Score-CAM: Wang et al., CVPR Workshops 2020)."""

import numpy as np

from seewhy.evaluate.annotations import MasksLike, over_masks
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.types import BoolArray, DoubleArray


def energy_pointing_game(heatmaps: HeatmapsLike, masks: MasksLike) -> DoubleArray:
    """Return the share of each heatmap's energy that lies on the object.

    Section 4.3 of the paper, with the heatmap L without its negative values:

        proportion = sum_{i in object} L_i / sum_i L_i

    Higher is better. A constant map scores the share of the image that the object covers.

    Args:
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v); resized bilinearly to the masks.
        masks: bool (N, H, W) or (N, T, H, W), or a list with an array for each image. The paper's are bounding boxes,
            see `boxes_to_masks`.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap without positive values, or with NaN, and where there is no object.

    Raises:
        InputError: The heatmaps or masks have another shape.

    Reference:
        Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR Workshops
        2020, arXiv 1910.01279.
    """
    return over_masks(lambda heatmap, mask: share_inside(np.maximum(heatmap, 0), mask), heatmaps, masks)


def share_inside(energies: DoubleArray, mask: BoolArray) -> float:
    """Return the share of energies (H, W), 0 or more, that lies in a mask; NaN where there are none."""
    total = float(energies.sum())
    return float(energies[mask].sum()) / total if total > 0 else float("nan")
