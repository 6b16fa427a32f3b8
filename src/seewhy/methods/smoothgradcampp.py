"""Smooth Grad-CAM++ (Omeiza et al., 2019)."""

import numpy as np

from seewhy.methods.checks import Runs, Seed
from seewhy.methods.method import Runner
from seewhy.methods.noise import RelativeSigma, noisy_copies
from seewhy.types import Capture, FloatArray


def smoothgradcampp(
    capture: Capture, runner: Runner, *, samples: Runs = 25, sigma: RelativeSigma = 0.15, seed: Seed = 0
) -> FloatArray:
    """Compute Grad-CAM++ from derivatives that are averaged over noisy copies of the input.

    With D_p the p-th power of dS^c/dA^k, averaged over n copies x + N(0, sigma^2), and A the activations of the image
    itself; the last ReLU is applied to the raw heatmaps later:

        alpha_ij^kc = D_2 / (2 D_2 + sum_ab A^k_ab D_3)
        w_k^c = sum_ij alpha_ij^kc ReLU(D_1)
        L^c = ReLU(sum_k w_k^c A^k)

    The powers are the derivatives of y = exp(S) without their factor exp(S), as in `gradcampp`, so every copy has the
    same weight. The numerator is the second derivative, as Grad-CAM++ derives it (arXiv 1710.11063, equation 19).

    Args:
        capture: The activations and gradients of one image.
        runner: Runs the model on the copies.
        samples: The number of copies.
        sigma: The standard deviation of the noise, as a fraction of the input's range x_max - x_min.
        seed: The seed of the noise, which is the same for every image, so that no image depends on others.

    Returns:
        Raw heatmaps (1, T, *space), in units of the score. With sigma=0 they are `gradcampp`.

    Reference:
        Omeiza et al., "Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique for Deep Convolutional
        Neural Network Models", 2019, arXiv 1908.01224.
    """
    copies = noisy_copies(runner.inputs, samples, sigma, seed)
    powers = np.zeros(
        (3, *capture.require_gradients().shape[1:])
    )  # float64, in which the cube of a small gradient is not 0
    for copy in runner.captures(copies, samples):
        gradients = copy.require_gradients()[0].astype(np.float64)
        powers += np.stack([gradients, gradients**2, gradients**3]) / samples
    activations = capture.activations[0].astype(np.float64)
    space = tuple(range(activations.ndim - 1))
    denominators = 2 * powers[1] + activations.sum(axis=space) * powers[2]
    is_zero = (powers[0] <= 0) | (denominators <= 0)
    alphas = np.where(is_zero, 0.0, powers[1]) / np.where(is_zero, 1.0, denominators)
    weights = (alphas * powers[0]).sum(axis=tuple(axis + 1 for axis in space))
    heatmaps: FloatArray = np.einsum("tk,...k->t...", weights, activations)[None].astype(np.float32)
    return heatmaps
