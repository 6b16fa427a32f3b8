"""Rank correlation with occlusion (Grad-CAM: Selvaraju et al., ICCV 2017)."""

from collections.abc import Sequence

import numpy as np

from seewhy.attribution.perturbation_runner import PerturbationRunner
from seewhy.evaluate.correlation import spearman
from seewhy.evaluate.evaluated_maps import EvaluatedBatch, evaluated_batches
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.methods.checks import PerChannel
from seewhy.methods.occlusion import occlusion
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, FloatArray, Score

WINDOWS = 169
"""The number of windows of the default size and stride on an input of 224 x 224."""


def occlusion_correlation(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    window: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    batch_size: int = 32,
    baseline: PerChannel = 0.0,
    score: Score = "logit",
) -> DoubleArray:
    """Return the correlation of the ranks of a heatmap's pixels with those of the method occlusion.

    Section 5.3 of the paper: a heatmap is faithful if the score falls where bright parts of the image are covered.
    Higher is better.

    Args:
        classifier: As for `deletion`, and so are the arguments that are not described here.
        window: The window's size in pixels of the input, one number or one for each axis; None for a quarter of it.
        stride: The distance between windows in pixels; None for a quarter of a window.
        baseline: The value of covered pixels, in units of the model's input: a number, one for each channel, or "mean".
        score: "logit", or "probability".

    Returns:
        float64 (N, T) in -1..1; NaN for a map that is constant, or holds NaN, and where the score never changes.

    Raises:
        SeewhyError: As for `deletion`.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
        arXiv 1610.02391.
    """
    values = []
    for batch in evaluated_batches(classifier, images, heatmaps, targets, score=score, batch_size=batch_size):
        occluded: dict[int, FloatArray] = {}
        correlations = []
        for each in batch.maps:
            if each.image not in occluded:
                runner = _runner(batch, each.image)
                # One run of each window scores all targets of the image; the method reads no capture.
                maps = occlusion(None, runner, window=window, stride=stride, baseline=baseline)  # type: ignore[arg-type]
                occluded = {each.image: maps[0]}
            correlations.append(spearman(each.heatmap, occluded[each.image][each.target].astype(np.float64)))
        values.append(batch.values(np.array(correlations)))
    return np.concatenate(values)


def _runner(batch: EvaluatedBatch, image: int) -> PerturbationRunner:
    """Return what runs the model on perturbations of one image."""
    model, pixels = batch.images.model, batch.images.pixels[image : image + 1]
    inputs = np.moveaxis(pixels, -1, 1) if model.framework.channels_first else pixels
    objective = batch.images.objective.for_image(image)
    return PerturbationRunner(
        model.framework, model.framework.check_inputs(inputs), lambda: LayerChoice(INPUT), objective, model.batch_size
    )


def occlusion_forwards(**_: object) -> int:
    """Return the forward passes for an image of 224 x 224 and all its targets with the default windows."""
    return WINDOWS + 2
