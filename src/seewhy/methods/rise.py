"""RISE (Petsiuk et al., BMVC 2018, arXiv 1806.07421)."""

from collections.abc import Iterator

import numpy as np

from seewhy.methods.checks import PerAxis, fraction, per_axis, whole
from seewhy.methods.method import Runner
from seewhy.methods.resizing import bilinear_weights, combine
from seewhy.types import BoolArray, Capture, FloatArray


def rise(
    _: Capture,
    runner: Runner,
    *,
    masks: int = 4000,
    grid: PerAxis = 7,
    p: float = 0.5,
    seed: int = 0,
    centred: bool = True,
) -> FloatArray:
    """Cover the image at random, many times, and average the masks by the scores they leave.

    Equation 6 of the paper, with E[M] = p; centred, the mean score is taken off first:

        S(l) = 1 / (E[M] N) sum_i f(X * M_i) M_i(l)
        L(l) = 1 / (E[M] N) sum_i (f(X * M_i) - mean_j f(X * M_j)) M_i(l)

    The paper's f is a probability. A logit has no zero of its own: a constant added to it is added to S as well, as
    noise and all. Centred, S is how much more than the average mask those score that let the pixel through: a constant
    model gives 0, and the positive part is what is better seen than not.

    The model is run once for every mask.

    Args:
        again: The model.
        masks: N.
        grid: Cells of a mask before it is brought to the input's size, for every axis of space or one for each.
        p: The chance of a cell to let the image through.
        seed: Of the masks.
        centred: False gives S itself, for probabilities.

    Returns:
        (1, T, *space) of the input, in units of the score.
    """
    image = runner.inputs
    drawn = _Masks(
        image.shape[:-1],
        whole("masks", masks),
        per_axis("grid", grid, image.ndim - 1),
        fraction("p", p),
        whole("seed", seed, 0),
    )
    scores = runner.scores((image * mask[..., None] for mask in drawn), masks).astype(np.float64)
    if centred:
        scores -= scores.mean(axis=0)
    evidence = np.zeros((scores.shape[1], *image.shape[:-1]))
    for score, mask in zip(scores, drawn, strict=True):
        evidence += np.multiply.outer(score, mask)
    return (evidence / (masks * p))[None].astype(np.float32)


class _Masks:
    """Random masks, made anew each time they are gone through: what is kept of each are its cells and its shift.

    Section 3.2 of the paper: cells are drawn, brought bilinearly to one cell more than the input's size, and cut to it
    at a random place within that cell.
    """

    def __init__(self, size: tuple[int, ...], count: int, grid: tuple[int, ...], p: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        cell = [-(-pixels // cells) for pixels, cells in zip(size, grid, strict=True)]  # in pixels, rounded up
        self.size = size
        self.cells: BoolArray = random.random((count, *grid)) < p
        self.shifts = random.integers(0, cell, (count, len(size)))
        self.weights = [bilinear_weights(cells, (cells + 1) * pixels) for cells, pixels in zip(grid, cell, strict=True)]

    def __iter__(self) -> Iterator[FloatArray]:
        for cells, shift in zip(self.cells, self.shifts, strict=True):
            places = zip(self.weights, shift, self.size, strict=True)
            yield combine(cells.astype(np.float32), [weights[start : start + size] for weights, start, size in places])
