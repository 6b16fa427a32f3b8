"""Average drop (Grad-CAM++: Chattopadhay et al., WACV 2018)."""

import numpy as np

from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.masked_scores import compare_masked_scores, share_of
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.methods.baselines import Baseline
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray


def average_drop(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    batch_size: int = 32,
    baseline: Baseline = 0.0,
) -> DoubleArray:
    """Return the share of its probability that a target loses where only what the heatmap shows is left.

    Section 5.1 of the paper, with Y the probability of the image and O that of the image times its heatmap, scaled to
    a maximum of 1:

        drop = max(0, Y - O) / Y

    The paper averages it over images, in percent. Lower is better.

    Args:
        classifier: As for `deletion`, and so are the arguments that are not described here.
        baseline: What the image becomes where the heatmap is 0, in units of the model's input: a number, an array,
            "mean" or "blur". The paper's is 0.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap without positive values, or one that is constant, and where Y is 0.

    Raises:
        SeewhyError: As for `deletion`.

    Reference:
        Chattopadhay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", WACV 2018,
        arXiv 1710.11063.
    """
    return compare_masked_scores(drop, classifier, images, heatmaps, targets, batch_size=batch_size, baseline=baseline)


def drop(own: DoubleArray, masked: DoubleArray) -> DoubleArray:
    """Return max(0, Y - O) / Y."""
    return share_of(np.maximum(0, own - masked), own)
