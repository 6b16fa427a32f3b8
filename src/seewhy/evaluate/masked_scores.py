"""The scores of images of which only what a heatmap shows is left, as average drop, increase and gain compare them."""

from collections.abc import Callable

import numpy as np

from seewhy.evaluate.evaluated_maps import EvaluatedMap, evaluated_batches
from seewhy.evaluate.heatmap_stack import HeatmapsLike, positive_part
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.evaluate.removal import removed_pixels
from seewhy.methods.baselines import Baseline
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, FloatArray

Comparison = Callable[[DoubleArray, DoubleArray], DoubleArray]
"""From the scores of images and of what the heatmaps leave of them, of any shape, to a metric."""


def compare_masked_scores(
    compare: Comparison,
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None,
    *,
    batch_size: int,
    baseline: Baseline,
) -> DoubleArray:
    """Compare the probability of each image with that of the image times its heatmap.

    Args:
        compare: The metric.
        classifier: As for `deletion`, and so are the other arguments.
        baseline: What the image becomes where the heatmap is 0.

    Returns:
        float64 (N, T); NaN for a heatmap without positive values.
    """
    values = []
    for batch in evaluated_batches(classifier, images, heatmaps, targets, score="probability", batch_size=batch_size):
        own = np.array([[each.score] for each in batch.maps]).reshape(-1, 1)
        masked = batch.score(lambda each: [masked_image(each, baseline)], 1)
        has_positive = np.array([each.heatmap.max() > 0 for each in batch.maps], dtype=bool)
        compared = np.where(has_positive, compare(own, masked)[:, 0], np.nan)
        values.append(batch.values(compared))
    return np.concatenate(values)


def masked_image(each: EvaluatedMap, baseline: Baseline) -> FloatArray:
    """Return an image (h, w, C) times its heatmap, scaled to a maximum of 1 and without negative values.

    The paper's product with the preprocessed image has the baseline 0.
    """
    weights = np.nan_to_num(positive_part(each.heatmap))[..., None].astype(np.float32)
    background = removed_pixels(baseline, each.pixels)
    return np.asarray(background + weights * (each.pixels - background), dtype=np.float32)


def share_of(part: DoubleArray, whole: DoubleArray) -> DoubleArray:
    """Return part / whole; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def masked_forwards(**_: object) -> int:
    """Return the forward passes for an image and target: of the image, and of what the heatmap leaves of it."""
    return 2
