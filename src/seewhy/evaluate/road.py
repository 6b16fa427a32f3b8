"""ROAD: remove and debias (Rong et al., ICML 2022)."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.evaluate.curve import Curve
from seewhy.evaluate.evaluated_maps import EvaluatedMap, evaluated_batches
from seewhy.evaluate.heatmap_stack import HeatmapsLike
from seewhy.evaluate.model_scores import ImagesLike, ModelLike
from seewhy.evaluate.noisy_linear_imputation import impute
from seewhy.evaluate.removal import pixel_order
from seewhy.methods.checks import is_finite, not_negative
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, FloatArray, Score

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
"""The shares of pixels that the paper removes."""

Order = Literal["difference", "most", "least"]
"""Half the difference of the least from the most relevant pixels first; or the score of one order alone."""


def road(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    shares: Sequence[float] = SHARES,
    noise: float = 0.01,
    batch_size: int = 32,
    seed: int = 0,
    score: Score = "probability",
) -> DoubleArray:
    """Return how much higher the score is without the least relevant pixels than without the most relevant ones.

    With x_p the input of which a share p of the pixels is removed and imputed, so that the shape of the removed region
    does not tell the class:

        ROAD = mean_p ( f(x_p, least relevant first) - f(x_p, most relevant first) ) / 2

    The mean over p is the area under the curve, by the trapezoidal rule, since the shares of the paper are not equally
    far apart. The paper reports the accuracy of each order on a data set; for single images this takes the score, and
    half the difference of the two orders, as pytorch-grad-cam does. Higher is better; 0 is what a random map has on
    average.

    Args:
        classifier: As for `deletion`, and so are the arguments that are not described here.
        shares: The shares of pixels that are removed.
        noise: The standard deviation of the noise on imputed pixels, as a fraction of the range of the input.
        seed: The seed of the noise, and of the order of pixels with equal values.
        score: "probability", or "logit".

    Returns:
        float64 (N, T); NaN for a map that is constant, or holds NaN.

    Raises:
        MissingExtraError: SciPy is not installed.
        SeewhyError: As for `deletion`.

    Reference:
        Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022,
        arXiv 2202.00449.
    """
    return road_curve(
        classifier,
        images,
        heatmaps,
        targets,
        shares=shares,
        noise=noise,
        batch_size=batch_size,
        seed=seed,
        score=score,
    ).values


def road_curve(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None = None,
    *,
    order: Order = "difference",
    shares: Sequence[float] = SHARES,
    noise: float = 0.01,
    batch_size: int = 32,
    seed: int = 0,
    score: Score = "probability",
) -> Curve:
    """Return what `road` averages, over the share of removed pixels; the other arguments are the same.

    Args:
        order: "difference"; or "most" and "least", the score itself where the most or the least relevant pixels are
            removed first.
    """
    shares, noise = _checked_shares(shares), not_negative("noise", noise)
    signs = _signs(order)
    curves = []
    for batch in evaluated_batches(classifier, images, heatmaps, targets, score=score, batch_size=batch_size):

        def imputed(each: EvaluatedMap) -> Iterator[FloatArray]:
            random = np.random.default_rng(seed)
            for sign in signs:
                ranked = pixel_order(sign * each.heatmap, seed)
                for share in shares:
                    removed = np.zeros(each.heatmap.size, dtype=bool)
                    removed[ranked[: _removed_count(share, removed.size)]] = True
                    yield impute(each.pixels, removed.reshape(each.heatmap.shape), noise, random)

        scores = batch.score(imputed, len(signs) * len(shares)).reshape(-1, len(signs), len(shares))
        values = (scores[:, 0] - scores[:, 1]) / 2 if order == "difference" else scores[:, 0]
        curves.append(batch.values(values))
    label = "half the difference of the orders" if order == "difference" else score
    return Curve(np.array(shares), np.concatenate(curves), "share of removed pixels", label)


def _signs(order: Order) -> tuple[int, ...]:
    """Return the signs of the heatmap whose highest values are removed first."""
    signs = {"difference": (-1, 1), "most": (1,), "least": (-1,)}
    if order not in signs:
        raise OptionError(f"order is {short_repr(order)}; expected 'difference', 'most' or 'least'.")
    return signs[order]


def _checked_shares(shares: Sequence[float]) -> tuple[float, ...]:
    if not len(shares) or not all(is_finite(share) and 0 < share < 1 for share in shares):
        raise OptionError(f"shares is {short_repr(shares)}; expected numbers between 0 and 1, such as (0.1, 0.5, 0.9).")
    return tuple(sorted(map(float, shares)))


def _removed_count(share: float, pixels: int) -> int:
    """Return how many of the pixels are removed: one at least, and not all, for what is left has to tell the rest."""
    return min(max(1, round(share * pixels)), pixels - 1)


def road_forwards(*, shares: Sequence[float] = SHARES, **_: object) -> int:
    """Return the forward passes for an image and target: two for each share, and one for the image."""
    return 2 * len(shares) + 1
