"""MuFidelity, or faithfulness correlation (Bhatt, Weller and Moura, IJCAI 2020)."""

from collections.abc import Iterator

import numpy as np

from seewhy.evaluate.correlation import similarity_of
from seewhy.evaluate.evaluated_maps import EvaluatedMap, evaluated_batches
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.evaluate.removal import removed_pixels
from seewhy.methods.baselines import Baseline
from seewhy.methods.checks import fraction, integer
from seewhy.targets import TargetSpec
from seewhy.types import BoolArray, DoubleArray, FloatArray, IndexArray, Score

SAMPLES = 200


def mufidelity(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    samples: int = SAMPLES,
    grid: int = 9,
    subset: float = 0.2,
    similarity: str = "pearson",
    batch_size: int = 32,
    seed: int = 0,
    baseline: Baseline = 0.0,
    score: Score = "logit",
) -> DoubleArray:
    """Return how well a heatmap predicts by how much the score falls where random parts of the image are removed.

    Definition 3 of the paper, with x_S the input whose parts S have become the baseline:

        corr_S( sum_{i in S} L_i , f(x) - f(x_S) )

    The parts are the cells of a grid, since the removal of single pixels of an image changes next to nothing; the
    subsets S have one size. Higher is better.

    Args:
        classifier: As for `deletion`, and so are the arguments that are not described here.
        samples: The number of random subsets, which are the same for every image.
        grid: The number of cells along each axis; that of pixels, where there are fewer.
        subset: The share of the cells in a subset.
        similarity: "pearson", as in the paper, or "spearman", the correlation of ranks.
        score: "logit", or "probability".

    Returns:
        float64 (N, T) in -1..1; NaN for a map that is constant, or holds NaN, and where the score never changes.

    Raises:
        SeewhyError: As for `deletion`.

    Reference:
        Bhatt, Weller and Moura, "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020,
        arXiv 2005.00631.
    """
    correlate, values = similarity_of(similarity), []
    subsets = random_subsets(integer("samples", samples), integer("grid", grid), fraction("subset", subset), seed)
    for batch in evaluated_batches(classifier, images, heatmaps, targets, score=score, batch_size=batch_size):
        cells = grid_cells(batch.images.size, grid)

        def removed(each: EvaluatedMap, cells: IndexArray = cells) -> Iterator[FloatArray]:
            background = removed_pixels(baseline, each.pixels)
            for subset_cells in subsets:
                yield np.where(subset_cells[cells][..., None], background, each.pixels)

        scores = batch.score(removed, samples)
        correlations = [
            correlate(
                subsets.astype(np.float64) @ np.bincount(cells.ravel(), each.heatmap.ravel(), grid * grid),
                each.score - row,
            )
            for each, row in zip(batch.maps, scores, strict=True)
        ]
        values.append(batch.values(np.array(correlations)))
    return np.concatenate(values)


def random_subsets(samples: int, grid: int, share: float, seed: int) -> BoolArray:
    """Return which cells each subset has, (samples, grid x grid): equally many, at least one and not all."""
    cells = grid * grid
    count = min(max(1, round(share * cells)), max(1, cells - 1))
    places = np.random.default_rng(seed).random((samples, cells)).argsort(axis=1)
    return np.asarray(places < count)


def grid_cells(size: tuple[int, int], grid: int) -> IndexArray:
    """Return the cell of each pixel of an image of a size, (h, w)."""
    rows, columns = (np.arange(pixels) * grid // pixels for pixels in size)
    return np.asarray(rows[:, None] * grid + columns, dtype=np.int32)


def mufidelity_forwards(*, samples: int = SAMPLES, **_: object) -> int:
    """Return the forward passes for an image and target: one for each subset, and one for the image."""
    return samples + 1
