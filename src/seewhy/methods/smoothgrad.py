"""SmoothGrad (Smilkov et al., 2017)."""

import numpy as np

from seewhy.methods.checks import Runs, Seed
from seewhy.methods.method import Runner
from seewhy.methods.noise import RelativeSigma, noisy_copies
from seewhy.types import Capture, FloatArray


def smoothgrad(
    capture: Capture, runner: Runner, *, samples: Runs = 50, sigma: RelativeSigma = 0.15, seed: Seed = 0
) -> FloatArray:
    """Average the gradient over noisy copies of the input, and take its largest absolute value over the channels.

    Section 2 of the paper, with n copies; absolute values are taken as section 3.2 recommends for photographs:

        M(x) = 1/n sum_1^n M_c(x + N(0, sigma^2))

    Args:
        capture: The scores of one image, of which only the number of targets is read.
        runner: Runs the model on the copies.
        samples: The number of copies; the paper finds little improvement beyond 50.
        sigma: The standard deviation of the noise, as a fraction of the input's range x_max - x_min; the paper
            recommends 0.1 to 0.2.
        seed: The seed of the noise, which is the same for every image, so that no image depends on others.

    Returns:
        Raw heatmaps (1, T, *space), in units of the score per unit of the input. With sigma=0 they are `saliency`.

    Reference:
        Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv 1706.03825.
    """
    copies = noisy_copies(runner.inputs, samples, sigma, seed)
    total = np.zeros((capture.scores.shape[1], *runner.inputs.shape))
    for copy in runner.captures(copies, samples, level="input"):
        total += copy.require_gradients()[0]
    heatmaps: FloatArray = np.abs(total / samples).max(axis=-1)[None].astype(np.float32)
    return heatmaps
