"""Integrated gradients (Sundararajan, Taly and Yan, ICML 2017, arXiv 1703.01365)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from seewhy.errors import OptionError
from seewhy.methods.checks import whole
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray


def integrated_gradients(
    capture: Capture, runner: Runner, *, steps: int = 128, baseline: float | str | FloatArray = 0.0
) -> FloatArray:
    """Add up the gradients on the straight way from a baseline x' to the input x, times how far each value goes.

    Equation 1 of the paper, and its channels added up:

        IG_i = (x_i - x'_i) * integral over a from 0 to 1 of dF(x' + a (x - x')) / dx_i

    The integral is a sum over the midpoints of `steps` equal parts. In a model of ReLUs the gradient changes in
    jumps on the way, and of such a function rules of higher order (Gauss and Legendre's) make no better a sum.
    By the paper's completeness axiom the map adds up to F(x) - F(x'), as nearly as `steps` are many.

    Args:
        capture: Of one image; only what it shows of the number of targets is read.
        again: Runs the model along the way.
        steps: How many times it is run, forwards and backwards.
        baseline: What an input without evidence looks like, in units of the model's input: a number, 0 being what
            the paper takes; "mean", the image's own mean in each channel; or an array (*space, C), or one that can be
            repeated to that.

    Returns:
        (1, T, *space), in units of the score.

    Raises:
        OptionError: An option is out of range.
    """
    steps = whole("steps", steps)
    start = _baseline(baseline, runner.inputs)
    way = runner.inputs - start

    def points() -> Iterator[FloatArray]:
        for step in range(steps):
            yield start + np.float32((step + 0.5) / steps) * way

    total = np.zeros((capture.scores.shape[1], *way.shape))  # double: so many small numbers are added up
    for point in runner.captures(points(), steps, level="input"):
        total += point.gradients[0]
    evidence: FloatArray = np.einsum("t...c,...c->t...", total / steps, way)[None].astype(np.float32)
    return evidence


def _baseline(given: Any, inputs: FloatArray) -> FloatArray:
    """Return the baseline, (*space, C)."""
    if isinstance(given, str):
        if given != "mean":
            raise OptionError(f"baseline is {given!r}; expected a number, an array, or 'mean'.")
        given = inputs.mean(axis=tuple(range(inputs.ndim - 1)))
    try:
        array = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise OptionError(f"baseline is {given!r}; expected a number, an array, or 'mean'.") from error
    if not np.isfinite(array).all():
        raise OptionError("baseline holds NaN or infinite values; expected numbers.")
    try:
        return np.broadcast_to(array, inputs.shape)
    except ValueError as error:
        message = f"baseline has shape {array.shape}; expected {inputs.shape}, channels last, or a number."
        raise OptionError(message) from error
