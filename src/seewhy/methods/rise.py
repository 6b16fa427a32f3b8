"""RISE (Petsiuk et al., BMVC 2018)."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated

import numpy as np

from seewhy.errors import OptionError
from seewhy.interpolation import bilinear_weights, interpolate
from seewhy.methods.checks import Fraction, Runs, Seed, one_or_each_axis, per_axis
from seewhy.methods.method import Runner
from seewhy.types import BoolArray, Capture, FloatArray

MAX_GRID = 1000
"""The maximum number of cells of a mask along one axis."""

Grid = Annotated[int | Sequence[int], partial(one_or_each_axis, most=MAX_GRID)]
"""One number for all spatial axes, or one for each."""

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
) -> FloatArray:
    """Average random masks, each weighted by the score of the masked image.

    Equation 6 of the paper, with E[M] = p, gives S; if centred, the mean score is subtracted first, which gives L:

        S(l) = 1 / (E[M] N) sum_i f(X * M_i) M_i(l)
        L(l) = 1 / (E[M] N) sum_i (f(X * M_i) - mean_j f(X * M_j)) M_i(l)

    In the paper f is a probability. A logit has an arbitrary offset, which would add the noisy mean of the masks,
    scaled by the offset, to S. L shows how much higher than average the masks score that keep the pixel: it is 0 for a
    constant model, and positive where keeping the pixel raises the score.

    The model is run once for each mask.

    Args:
        runner: Runs the model.
        masks: The number of masks, N.
        grid: The number of cells of a mask before it is enlarged: one number, or one for each spatial axis.
        p: The probability that a cell keeps the image.
        seed: The seed of the masks.
        centred: Whether the mean score is subtracted; False gives S, for probabilities.

    Returns:
        Raw heatmaps (1, T, *space) at the input's resolution, in units of the score.

    Raises:
        OptionError: The grid does not fit the spatial axes, or all masks together have too many cells.

    Reference:
        Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv 1806.07421.
    """
    image = runner.inputs
    random_masks = _RandomMasks(image.shape[:-1], masks, per_axis("grid", grid, image.ndim - 1), p, seed)
    scores = runner.scores((image * mask[..., None] for mask in random_masks), masks).astype(np.float64)
    if centred:
        scores -= scores.mean(axis=0)
    totals = np.zeros((scores.shape[1], *image.shape[:-1]))
    for score, mask in zip(scores, random_masks, strict=True):
        totals += np.multiply.outer(score, mask)
    return (totals / (masks * p))[None].astype(np.float32)


def _check_cells(count: int, grid: tuple[int, ...]) -> None:
    """Raise OptionError if all masks together have too many cells."""
    if count * math.prod(grid) > MAX_CELLS:
        raise OptionError(
            f"masks is {count} and grid is {grid}: {count * math.prod(grid):,} cells; expected at most {MAX_CELLS:,}."
        )


class _RandomMasks:
    """Random masks, computed anew in each iteration: only the cells and the shift of each mask are stored.

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

    def __iter__(self) -> Iterator[FloatArray]:
        for cells, shifts in zip(self.cells, self.shifts, strict=True):
            axes = zip(self.weights, shifts, self.size, strict=True)
            cropped = [weights[shift : shift + pixels] for weights, shift, pixels in axes]
            yield interpolate(cells.astype(np.float32), cropped)
