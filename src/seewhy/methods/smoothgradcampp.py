"""Smooth Grad-CAM++ (Omeiza et al., 2019, arXiv 1908.01224)."""

import numpy as np

from seewhy.methods.method import Runner
from seewhy.methods.noise import noisy
from seewhy.types import Capture, FloatArray


def smoothgradcampp(
    capture: Capture, runner: Runner, *, samples: int = 25, sigma: float = 0.15, seed: int = 0
) -> FloatArray:
    """Grad-CAM++ with every derivative averaged over copies of the input with noise on them.

    With D_p the p-th power of dS^c/dA^k, averaged over n copies x + N(0, sigma^2), and A of the image itself; what is
    negative is cut off later:

        alpha_ij^kc = D_2 / (2 D_2 + sum_ab A^k_ab D_3)
        w_k^c = sum_ij alpha_ij^kc ReLU(D_1)
        L^c = ReLU(sum_k w_k^c A^k)

    The powers are the derivatives of y = exp(S) without its factor exp(S), as in `gradcampp`; every copy counts the
    same. The numerator is the second derivative, as Grad-CAM++ derives it (equation 19 of arXiv 1710.11063).

    Args:
        capture: Of one image.
        again: Runs the model on the copies.
        samples: How many copies.
        sigma: The noise's standard deviation, as a part of the input's range x_max - x_min.
        seed: Which noise: the same for every image, so that none depends on those beside it.

    Returns:
        (1, T, *space), in units of the score. Without noise it is `gradcampp`.

    Raises:
        OptionError: An option is out of range.
    """
    copies = noisy(runner.inputs, samples, sigma, seed)
    powers = np.zeros((3, *capture.gradients.shape[1:]))  # in float64, where the cube of a small gradient has room
    for copy in runner.captures(copies, samples):
        gradients = copy.gradients[0].astype(np.float64)
        powers += np.stack([gradients, gradients**2, gradients**3]) / samples
    activations = capture.activations[0].astype(np.float64)
    space = tuple(range(activations.ndim - 1))
    denominators = 2 * powers[1] + activations.sum(axis=space) * powers[2]
    left_out = (powers[0] <= 0) | (denominators <= 0)
    alphas = np.where(left_out, 0.0, powers[1]) / np.where(left_out, 1.0, denominators)
    weights = (alphas * powers[0]).sum(axis=tuple(axis + 1 for axis in space))
    evidence: FloatArray = np.einsum("tk,...k->t...", weights, activations)[None].astype(np.float32)
    return evidence
