"""RISE (Petsiuk et al., BMVC 2018)."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import OptionError
from seewhy.interpolation import bilinear_weights, interpolate
from seewhy.methods.checks import Fraction, Runs, Seed, one_or_each_axis, per_axis
from seewhy.methods.method import Runner
from seewhy.types import BoolArray, Capture, FloatArray

MAX_GRID = 1000
"""The maximum number of cells of a mask along one axis."""

Grid = Annotated[int | Sequence[int], partial(one_or_each_axis, most=MAX_GRID)]
"""One number for all spatial axes, or one for each."""

TESTED = 100
"""After how many masks it is tested, again and again, whether the heatmap is within the tolerance."""

MAX_CELLS = 50_000_000
"""The maximum number of cells of all masks, which are drawn at once in half a gigabyte: a million masks of 7 x 7."""


def rise(
    _: Capture,
    runner: Runner,
    *,
    masks: Runs = 4000,
    grid: Grid = 7,
    p: Fraction = 0.5,
    seed: Seed = 0,
    centred: bool = True,
    tolerance: Fraction | None = None,
) -> FloatArray:
    """Average random masks, each weighted by the score of the masked image.

    Equation 6 of the paper, with E[M] = p, gives S; if centred, the mean score is subtracted first, which gives L:

        S(l) = 1 / (E[M] N) sum_i f(X * M_i) M_i(l)
        L(l) = 1 / (E[M] N) sum_i (f(X * M_i) - mean_j f(X * M_j)) M_i(l)

    In the paper f is a probability. A logit has an arbitrary offset, which would add the noisy mean of the masks,
    scaled by the offset, to S. L shows how much higher than average the masks score that keep the pixel: it is 0 for a
    constant model, and positive where keeping the pixel raises the score.

    The model is run once for each mask. With a tolerance it is run for fewer masks where they are enough: a sequential
    rule for the mean of random values, as of Chow and Robbins, with x_i the summands of L or S and s their standard
    deviation, stops after n masks, a multiple of 100, when for every target

        max_l s(x(l)) / sqrt(n) <= tolerance * max_l |mean_i x_i(l)|

    Args:
        runner: Runs the model.
        masks: The number of masks, N.
        grid: The number of cells of a mask before it is enlarged: one number, or one for each spatial axis.
        p: The probability that a cell keeps the image.
        seed: The seed of the masks.
        centred: Whether the mean score is subtracted; False gives S, for probabilities.
        tolerance: The standard error of the heatmap, as a fraction of its largest absolute value, at which no more
            masks are run; None to run them all.

    Returns:
        Raw heatmaps (1, T, *space) at the input's resolution, in units of the score.

    Raises:
        OptionError: The grid does not fit the spatial axes, or all masks together have too many cells.

    Reference:
        Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv 1806.07421. Chow and Robbins, "On the Asymptotic Theory of Fixed-Width Sequential Confidence Intervals for
        the Mean", Annals of Mathematical Statistics 36(2), 1965.
    """
    image = runner.inputs
    random_masks = _RandomMasks(image.shape[:-1], masks, per_axis("grid", grid, image.ndim - 1), p, seed)

    def write(numbers: range, masked: FloatArray) -> None:
        for row, number in zip(masked, numbers, strict=True):
            np.multiply(image, random_masks[number][..., None], out=row)

    batches = (batch.astype(np.float64) for batch in runner.score_batches(write, masks))
    if tolerance is None:
        scores = np.concatenate(list(batches))
    else:
        scores = _scores_until(tolerance, batches, random_masks, centred=centred)
    if centred:
        scores -= scores.mean(axis=0)
    totals = np.zeros((scores.shape[1], *image.shape[:-1]))
    for number, score in enumerate(scores):
        totals += np.multiply.outer(score, random_masks[number])
    return (totals / (len(scores) * p))[None].astype(np.float32)


def _scores_until(
    tolerance: float, batches: Iterator[NDArray[np.float64]], masks: "_RandomMasks", *, centred: bool
) -> NDArray[np.float64]:
    """Return the scores (n, T) of the first masks, as many as the heatmaps need to be within the tolerance.

    Whether they are is found out after every `TESTED` masks, so that n does not depend on the size of the batches.
    """
    scores = next(batches)
    moments = _Moments(scores[0] if centred else np.zeros_like(scores[0]), masks.size)
    tested = 0
    while True:
        while len(scores) >= tested + TESTED:
            for number in range(tested, tested + TESTED):
                moments.add(scores[number], masks[number])
            tested += TESTED
            if moments.is_within(tolerance, centred=centred):
                return scores[:tested]
        batch = next(batches, None)
        if batch is None:
            return scores
        scores = np.concatenate([scores, batch])


class _Moments:
    """Sums over masks of scores s and masks M, for the mean and the variance of (s - mean s) M, or of s M.

    Scores are taken relative to an offset: a score of all masks, which is no evidence, then rounds nothing away.
    """

    def __init__(self, offset: NDArray[np.float64], size: tuple[int, ...]) -> None:
        self.offset, self.count = offset, 0
        self.score = np.zeros_like(offset)
        # Of M, of M^2, and for each target of s M, s M^2 and s^2 M^2.
        self.mask, self.square = np.zeros(size), np.zeros(size)
        self.by_target = np.zeros((3, len(offset), *size))

    def add(self, score: NDArray[np.float64], mask: FloatArray) -> None:
        """Add a mask with the scores (T,) of the masked image."""
        score, square = score - self.offset, np.square(mask, dtype=np.float64)
        self.count += 1
        self.score += score
        self.mask += mask
        self.square += square
        self.by_target[0] += np.multiply.outer(score, mask)
        self.by_target[1] += np.multiply.outer(score, square)
        self.by_target[2] += np.multiply.outer(np.square(score), square)

    def is_within(self, tolerance: float, *, centred: bool) -> bool:
        """Whether the standard error of the mean is within a fraction of its largest value, for every target."""
        mean_score = self.score / self.count if centred else np.zeros_like(self.score)
        mean_score = mean_score.reshape(-1, *(1,) * self.mask.ndim)
        products, by_square, squares = self.by_target / self.count
        mean = products - mean_score * self.mask / self.count
        of_squares = squares - 2 * mean_score * by_square + np.square(mean_score) * self.square / self.count
        error = np.sqrt(np.maximum(of_squares - np.square(mean), 0) / self.count)
        axes = tuple(range(1, error.ndim))
        return bool((error.max(axis=axes) <= tolerance * np.abs(mean).max(axis=axes)).all())


def _check_cells(count: int, grid: tuple[int, ...]) -> None:
    """Raise OptionError if all masks together have too many cells."""
    if count * math.prod(grid) > MAX_CELLS:
        raise OptionError(
            f"masks is {count} and grid is {grid}: {count * math.prod(grid):,} cells; expected at most {MAX_CELLS:,}."
        )


class _RandomMasks:
    """Random masks, computed anew whenever they are read: only the cells and the shift of each mask are stored.

    Section 3.2 of the paper: the cells of a mask are drawn, enlarged bilinearly to one cell more than the input's size,
    and cropped to the input's size at a random offset of less than a cell.
    """

    def __init__(self, size: tuple[int, ...], count: int, grid: tuple[int, ...], p: float, seed: int) -> None:
        _check_cells(count, grid)
        random = np.random.default_rng(seed)
        cell_size = [-(-pixels // cells) for pixels, cells in zip(size, grid, strict=True)]  # in pixels, rounded up
        self.size = size
        self.cells: BoolArray = random.random((count, *grid)) < p
        self.shifts = random.integers(0, cell_size, (count, len(size)))
        self.weights = [
            bilinear_weights(cells, (cells + 1) * pixels) for cells, pixels in zip(grid, cell_size, strict=True)
        ]

    def __getitem__(self, number: int) -> FloatArray:
        axes = zip(self.weights, self.shifts[number], self.size, strict=True)
        cropped = [weights[shift : shift + pixels] for weights, shift, pixels in axes]
        return interpolate(self.cells[number].astype(np.float32), cropped)
