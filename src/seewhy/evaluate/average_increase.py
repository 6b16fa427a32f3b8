"""Increase in confidence (Grad-CAM++: Chattopadhay et al., WACV 2018)."""

import numpy as np

from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.masked_scores import compare_masked_scores
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.methods.baselines import Baseline
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray


def average_increase(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    batch_size: int = 32,
    baseline: Baseline = 0.0,
) -> DoubleArray:
    """Return whether a target is more probable where only what the heatmap shows is left: 1 or 0.

    Section 5.1 of the paper, with Y the probability of the image and O that of the image times its heatmap, scaled to
    a maximum of 1:

        increase = 1[Y < O]

    The paper averages it over images, in percent. Higher is better.

    Args:
        classifier: As for `average_drop`, and so are the other arguments.

    Returns:
        float64 (N, T), 0 or 1; NaN for a heatmap without positive values, or one that is constant.

    Raises:
        SeewhyError: As for `deletion`.

    Reference:
        Chattopadhay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", WACV 2018,
        arXiv 1710.11063.
    """
    return compare_masked_scores(
        lambda own, masked: (own < masked).astype(np.float64),
        classifier,
        images,
        heatmaps,
        targets,
        batch_size=batch_size,
        baseline=baseline,
    )
