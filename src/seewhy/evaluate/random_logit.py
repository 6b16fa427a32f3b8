"""The random logit test (Sixt, Granz and Landgraf, ICML 2020)."""

import numpy as np

from seewhy.errors import TargetError
from seewhy.evaluate.correlation import similarities, similarity_of
from seewhy.evaluate.explained_images import EXPLAINED_AT_ONCE, ExplainedImages, explained_batches
from seewhy.evaluate.model_scores import ImagesLike
from seewhy.explainer import Explainer
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, IndexArray


def random_logit(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    similarity: str = "ssim",
    batch_size: int = EXPLAINED_AT_ONCE,
    seed: int = 0,
) -> DoubleArray:
    """Return how similar the heatmap of a class is to that of another class, drawn at random.

    The paper's test: a method that explains a class makes another map for another class. Lower is better; 1 is a method
    that ignores the class.

    Args:
        explainer: Makes the heatmaps.
        images: Paths, PIL images or uint8 arrays (H, W, 3); or preprocessed inputs, floats (N, ...).
        targets: Classes, as for `Explainer.explain`.
        similarity: "ssim", as in the paper, the structural similarity of the maps at the size of the input; "pearson",
            or "spearman".
        batch_size: How many images, or perturbations of an image, run at once.
        seed: The seed of the other classes; a class has the same other one in all images and calls.

    Returns:
        float64 (N, T), at most 1; NaN where one of the two maps is all zeros.

    Raises:
        TargetError: The targets are not classes, or the model has only one.
        SeewhyError: As for `Explainer.explain`.

    Reference:
        Sixt, Granz and Landgraf, "When Explanations Lie: Why Many Modified BP Attributions Fail", ICML 2020,
        arXiv 1912.09818.
    """
    compare, values = similarity_of(similarity), []
    for batch in explained_batches(explainer, images, targets, batch_size=batch_size):
        others = _other_classes(batch, seed)
        again = explainer.heatmaps(batch.inputs, others.tolist(), batch_size=batch_size)
        values.append(similarities(compare, batch.on_input(batch.heatmaps), batch.on_input(again)))
    return np.concatenate(values)


def _other_classes(batch: ExplainedImages, seed: int) -> IndexArray:
    """Draw a class for each target (n, T) that is another one; it depends on the class and the seed alone."""
    classes, probabilities = batch.heatmaps.indices, batch.heatmaps.probabilities
    if not batch.target.is_classes or probabilities is None:
        raise TargetError("The random logit test compares classes. Give classes as targets, such as 'top-1'.")
    count = probabilities.shape[1]
    if count < 2:
        raise TargetError("The random logit test compares classes, and the model has only one.")
    steps = [int(np.random.default_rng((seed, int(each))).integers(1, count)) for each in classes.ravel()]
    return np.asarray((classes + np.reshape(steps, classes.shape)) % count, dtype=np.int32)


def two_explanations(**_: object) -> int:
    """Return the explanations of an image and target: of the target, and of another class."""
    return 2
