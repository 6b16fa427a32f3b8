"""Deletion (RISE: Petsiuk et al., BMVC 2018)."""

from seewhy.evaluate.curve import Curve
from seewhy.evaluate.evaluated_maps import evaluated_batches
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.evaluate.removal import removed_pixels
from seewhy.evaluate.removal_curve import STEPS, removal_curve
from seewhy.methods.baselines import Baseline
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, Score


def deletion(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
    baseline: Baseline = 0.0,
    score: Score = "probability",
) -> DoubleArray:
    """Return the mean score while pixels are removed, the most important first.

    Section 4.2 of the paper, with x_k the input of the model without the k most important of its n pixels:

        deletion = 1/n integral_0^n f(x_k) dk

    Lower is better: the score falls as soon as what the model uses is gone.

    Args:
        classifier: A `Classifier`, a model, or its name or path; or an `Explainer`, for its precision and backend.
        images: Paths, PIL images or uint8 arrays (H, W, 3); or preprocessed inputs, floats (N, ...).
        heatmaps: `Heatmaps`, explanations, or an array (N, T, u, v) or (N, u, v) of any tool; resized bilinearly to the
            model's input. Their order of the pixels counts, negative values last.
        targets: What the heatmaps explain, as for `Explainer.explain`; None for the classes that `Heatmaps` and
            explanations name, and for the top class of each image where there is an array.
        steps: The number of steps in which the pixels are removed.
        batch_size: How many inputs run at once, which bounds the memory.
        seed: The seed of the order of pixels with equal values.
        baseline: What removed pixels become, in units of the model's input: a number, an array, "mean" or "blur". The
            paper's is 0.
        score: "probability", as in the paper, or "logit".

    Returns:
        float64 (N, T); NaN for a map that is constant, or holds NaN.

    Raises:
        SeewhyError: The images, heatmaps or targets do not fit each other or the model; the message says why.

    Reference:
        Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv 1806.07421.
    """
    return deletion_curve(
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


def deletion_curve(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
    baseline: Baseline = 0.0,
    score: Score = "probability",
) -> Curve:
    """Return the score over the share of removed pixels, whose area is `deletion`; the arguments are the same."""
    return removal_curve(
        evaluated_batches(classifier, images, heatmaps, targets, score=score, batch_size=batch_size),
        lambda image: (image, removed_pixels(baseline, image)),
        image_is_first=True,
        steps=steps,
        seed=seed,
        labels=("share of removed pixels", score),
    )
