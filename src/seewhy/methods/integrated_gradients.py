"""Integrated gradients (Sundararajan, Taly and Yan, ICML 2017)."""

from collections.abc import Iterator

import numpy as np

from seewhy.methods.baselines import Baseline, one_baseline
from seewhy.methods.checks import Runs
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray


def integrated_gradients(
    capture: Capture, runner: Runner, *, steps: Runs = 128, baseline: Baseline = 0.0
) -> FloatArray:
    """Average the gradients along the straight path from a baseline to the input, and multiply by the difference.

    Equation 1 of the paper, with x' the baseline, summed over the channels:

        IG_i = (x_i - x'_i) * integral over a from 0 to 1 of dF(x' + a (x - x')) / dx_i

    The integral is approximated by the midpoint rule with `steps` parts. For a ReLU network the gradient is piecewise
    constant along the path, where rules of higher order, such as Gauss-Legendre, are no more accurate. By the paper's
    completeness axiom the heatmap sums to F(x) - F(x'), up to the error of the approximation.

    Args:
        capture: The scores of one image, of which only the number of targets is read.
        runner: Runs the model along the path.
        steps: The number of forward and backward passes.
        baseline: An input without evidence, in units of the model's input: a number, 0 as in the paper; "mean", the
            mean of each channel of the image; or an array that broadcasts to (*space, C).

    Returns:
        Raw heatmaps (1, T, *space), in units of the score.

    Raises:
        OptionError: The baseline does not fit the image.

    Reference:
        Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv 1703.01365.
    """
    start = one_baseline("baseline", baseline, runner.inputs)
    difference = runner.inputs - start

    def path() -> Iterator[FloatArray]:
        for step in range(steps):
            yield start + np.float32((step + 0.5) / steps) * difference

    total = np.zeros((capture.scores.shape[1], *difference.shape))  # float64, for a sum of many small numbers
    for point in runner.captures(path(), steps, level="input"):
        total += point.require_gradients()[0]
    heatmaps: FloatArray = np.einsum("t...c,...c->t...", total / steps, difference)[None].astype(np.float32)
    return heatmaps
