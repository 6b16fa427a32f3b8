"""ADCC: average drop, coherency and complexity in one number (Poppi et al., CVPR Workshops 2021)."""

import numpy as np

from seewhy.evaluate.average_drop import drop
from seewhy.evaluate.correlation import pearson
from seewhy.evaluate.explained_images import EXPLAINED_AT_ONCE, ExplainedImages, explained_batches
from seewhy.evaluate.heatmap_stack import positive_part
from seewhy.evaluate.model_scores import ImagesLike
from seewhy.evaluate.removal import removed_pixels
from seewhy.explainer import Explainer
from seewhy.methods.baselines import Baseline
from seewhy.targets import Objective, TargetSpec
from seewhy.types import DoubleArray


def adcc(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    batch_size: int = EXPLAINED_AT_ONCE,
    baseline: Baseline = 0.0,
) -> DoubleArray:
    """Return the harmonic mean of coherency, simplicity and what is left of the probability.

    Equation 5 of the paper, with the heatmap L of the image x, without negative values and scaled to a maximum of 1,
    at the size of the input:

        coherency = (1 + corr( L(x L), L(x) )) / 2
        complexity = mean of L
        drop = max(0, Y - O) / Y
        ADCC = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop))

    L(x L) explains the image times its heatmap; Y and O are the probabilities of the image, and of the image times its
    heatmap. The correlation is 0 where one of the two maps is constant. Higher is better.

    Args:
        explainer: Makes the heatmaps.
        images: Paths, PIL images or uint8 arrays (H, W, 3); or preprocessed inputs, floats (N, ...).
        targets: As for `Explainer.explain`.
        batch_size: How many images, or perturbations of an image, run at once.
        baseline: What the image becomes where the heatmap is 0, in units of the model's input: a number, an array,
            "mean" or "blur". The paper's is 0.

    Returns:
        float64 (N, T) in 0..1; NaN for a heatmap without positive values, and where the probability is 0.

    Raises:
        SeewhyError: As for `Explainer.explain`.

    Reference:
        Poppi, Cornia, Baraldi and Cucchiara, "Revisiting The Evaluation of Class Activation Mapping for Explainability:
        A Novel Metric and Experimental Analysis", CVPR Workshops 2021, arXiv 2104.10252.
    """
    batches = explained_batches(explainer, images, targets, batch_size=batch_size)
    return np.concatenate([_adcc(batch, baseline) for batch in batches])


def harmonic_mean(coherency: DoubleArray, complexity: DoubleArray, lost: DoubleArray) -> DoubleArray:
    """Return ADCC of its parts; 0 where one of the terms is 0."""
    terms = np.stack([coherency, 1 - complexity, 1 - lost])
    inverse = np.divide(1, terms, out=np.full_like(terms, np.inf), where=(terms > 0) | np.isnan(terms))
    return np.asarray(3 / inverse.sum(axis=0))


def _adcc(batch: ExplainedImages, baseline: Baseline) -> DoubleArray:
    objective = Objective(batch.target, "probability", batch.explainer.output)
    own, _ = batch.model.scores(batch.inputs, objective)
    maps = positive_part(batch.on_input(batch.heatmaps))
    background = np.stack([removed_pixels(baseline, pixels) for pixels in batch.pixels])
    columns = []
    for target in range(batch.shape[1]):  # each heatmap masks the image in its own way
        weights = np.nan_to_num(maps[:, target, ..., None]).astype(np.float32)
        masked = background + weights * (batch.pixels - background)
        scores, _ = batch.model.scores(batch.as_inputs(masked), objective)
        again = np.nan_to_num(positive_part(batch.on_input(batch.explain(masked))[:, target]))
        correlations = [pearson(*pair) for pair in zip(again, np.nan_to_num(maps[:, target]), strict=True)]
        coherency = (1 + np.nan_to_num(np.array(correlations))) / 2
        lost = drop(own[:, target], scores[:, target])
        columns.append(harmonic_mean(coherency, maps[:, target].mean(axis=(1, 2)), lost))
    return np.stack(columns, axis=1)


def adcc_explanations(**_: object) -> int:
    """Return the explanations of an image and target: of the image, and of what the heatmap leaves of it."""
    return 2
