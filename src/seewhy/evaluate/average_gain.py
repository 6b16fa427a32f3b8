"""Average gain (Opti-CAM: Zhang et al., CVIU 2024)."""

import numpy as np

from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.masked_scores import compare_masked_scores, share_of
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.methods.baselines import Baseline
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray


def average_gain(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    batch_size: int = 32,
    baseline: Baseline = 0.0,
) -> DoubleArray:
    """Return the share of what its probability lacks that a target gains where only what the heatmap shows is left.

    Section 4 of the paper, with Y the probability of the image and O that of the image times its heatmap, scaled to a
    maximum of 1:

        gain = max(0, O - Y) / (1 - Y)

    The paper averages it over images, in percent. Higher is better. It complements the average drop, which counts what
    is lost, and replaces the increase, which counts how often anything is gained.

    Args:
        classifier: As for `average_drop`, and so are the other arguments.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap without positive values, or one that is constant, and where Y is 1.

    Raises:
        SeewhyError: As for `deletion`.

    Reference:
        Zhang et al., "Opti-CAM: Optimizing saliency maps for interpretability", CVIU 2024, arXiv 2301.07002.
    """
    return compare_masked_scores(
        lambda own, masked: share_of(np.maximum(0, masked - own), 1 - own),
        classifier,
        images,
        heatmaps,
        targets,
        batch_size=batch_size,
        baseline=baseline,
    )
