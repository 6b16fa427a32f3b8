"""The curve of scores while pixels are removed or inserted in the order of a heatmap."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluate.curve import Curve
from seewhy.evaluate.evaluated_maps import EvaluatedBatch, EvaluatedMap
from seewhy.evaluate.removal import pixel_order, removed_counts, transitions
from seewhy.types import FloatArray

Ends = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""From an image (h, w, C) to the images at the beginning and at the end of the curve; the image is one of them."""

STEPS = 224
"""The steps of the paper: a row of pixels in each, for inputs of 224 x 224."""


def removal_curve(
    batches: Iterator[EvaluatedBatch],
    ends: Ends,
    *,
    image_is_first: bool,
    steps: int,
    seed: int,
    labels: tuple[str, str],
) -> Curve:
    """Return the scores while one image turns into another, the pixels with the highest values first.

    Args:
        batches: The images and their heatmaps.
        ends: The image at the beginning and at the end.
        image_is_first: Whether the image itself, whose score is known, is at the beginning or at the end.
        steps: The number of steps.
        seed: The seed of the order of pixels with equal values.
        labels: The labels of x and y.
    """
    shares, curves = np.zeros(0), []
    for batch in batches:
        counts = removed_counts(int(np.prod(batch.images.size)), steps)
        scored = counts[1:] if image_is_first else counts[:-1]
        shares = counts / counts[-1]

        def turn(each: EvaluatedMap, scored: NDArray[np.intp] = scored) -> Iterator[FloatArray]:
            return transitions(*ends(each.pixels), pixel_order(each.heatmap, seed), scored)

        own = np.array([each.score for each in batch.maps])
        others = batch.score(turn, len(scored))
        curves.append(batch.values(np.column_stack([own, others] if image_is_first else [others, own])))
    return Curve(shares, np.concatenate(curves), *labels)


def removal_forwards(*, steps: int = STEPS, **_: object) -> int:
    """Return the forward passes for an image and target: one for each step, and one for the image."""
    return steps + 1
