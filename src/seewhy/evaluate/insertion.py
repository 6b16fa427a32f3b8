"""Insertion (RISE: Petsiuk et al., BMVC 2018)."""

from seewhy.evaluate.curve import Curve
from seewhy.evaluate.evaluated_maps import evaluated_batches
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.evaluate.removal import removed_pixels
from seewhy.evaluate.removal_curve import STEPS, removal_curve
from seewhy.methods.baselines import Baseline
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, Score


def insertion(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
    baseline: Baseline = "blur",
    score: Score = "probability",
) -> DoubleArray:
    """Return the mean score while the pixels of an image replace those of a blurred copy, the most important first.

    Section 4.2 of the paper, with x_k the blurred input with the k most important of its n pixels sharp:

        insertion = 1/n integral_0^n f(x_k) dk

    Higher is better: the score rises as soon as what the model uses is there.

    Args:
        classifier: As for `deletion`, and so are the arguments that are not described here.
        baseline: What pixels are before they are inserted, in units of the model's input: "blur", as in the paper, with
            a standard deviation of 5 pixels for an input of 224; "mean", a number, or an array.

    Returns:
        float64 (N, T); NaN for a map that is constant, or holds NaN.

    Raises:
        SeewhyError: As for `deletion`.

    Reference:
        Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv 1806.07421.
    """
    return insertion_curve(
        classifier,
        images,
        heatmaps,
        targets,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        baseline=baseline,
        score=score,
    ).values


def insertion_curve(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
    baseline: Baseline = "blur",
    score: Score = "probability",
) -> Curve:
    """Return the score over the share of inserted pixels, whose area is `insertion`; the arguments are the same."""
    return removal_curve(
        evaluated_batches(classifier, images, heatmaps, targets, score=score, batch_size=batch_size),
        lambda image: (removed_pixels(baseline, image), image),
        image_is_first=False,
        steps=steps,
        seed=seed,
        labels=("share of inserted pixels", score),
    )
