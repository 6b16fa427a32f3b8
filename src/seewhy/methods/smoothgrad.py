"""SmoothGrad (Smilkov et al., 2017, arXiv 1706.03825)."""

import numpy as np

from seewhy.methods.method import Runner
from seewhy.methods.noise import noisy
from seewhy.types import Capture, FloatArray


def smoothgrad(
    capture: Capture, runner: Runner, *, samples: int = 50, sigma: float = 0.15, seed: int = 0
) -> FloatArray:
    """Average the gradient over copies of the input with noise on them, and take its greatest size over the channels.

    Section 2 of the paper, n copies with noise of Gauss's distribution, and as section 3.2 has it for photographs,
    sizes without sign:

        M(x) = 1/n sum_1^n M_c(x + N(0, sigma^2))

    Args:
        capture: Of one image; only what it shows of the number of targets is read.
        again: Runs the model on the copies.
        samples: How many copies; the paper finds little more beyond 50.
        sigma: The noise's standard deviation, as a part of the input's range x_max - x_min; the paper takes 0.1 to 0.2.
        seed: Which noise: the same for every image, so that none depends on those beside it.

    Returns:
        (1, T, *space), in units of the score per unit of the input. Without noise it is `saliency`.

    Raises:
        OptionError: An option is out of range.
    """
    copies = noisy(runner.inputs, samples, sigma, seed)
    total = np.zeros((capture.scores.shape[1], *runner.inputs.shape))
    for copy in runner.captures(copies, samples, level="input"):
        total += copy.gradients[0]
    evidence: FloatArray = np.abs(total / samples).max(axis=-1)[None].astype(np.float32)
    return evidence
