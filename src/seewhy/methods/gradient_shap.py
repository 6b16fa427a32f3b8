"""Gradient SHAP (Lundberg and Lee, NeurIPS 2017), and expected gradients (Erion et al., 2021)."""

from collections.abc import Iterator

import numpy as np

from seewhy.methods.baselines import Baseline, several_baselines
from seewhy.methods.checks import Runs, Seed
from seewhy.methods.method import Runner
from seewhy.methods.noise import RelativeSigma, noisy_copies
from seewhy.types import Capture, FloatArray


def gradient_shap(
    capture: Capture,
    runner: Runner,
    *,
    samples: Runs = 128,
    baselines: Baseline = 0.0,
    sigma: RelativeSigma = 0.0,
    seed: Seed = 0,
) -> FloatArray:
    """Average gradients at random points between random baselines and the input, times the difference.

    The expected gradients of the paper, section 3, with x' drawn from the baselines and a from 0 to 1, summed over the
    channels; they approximate the SHAP values of Lundberg and Lee:

        EG_i = mean over x' and a of (x_i - x'_i) dF(x' + a (x - x')) / dx_i

    By completeness on average, heatmaps of many samples sum to F(x) less the mean of F over the baselines. With one
    baseline it is `integrated_gradients` at random points of the path. With `sigma` above 0, Gaussian noise is added to
    x in each sample, as in the implementation of the library Captum.

    Args:
        capture: The scores of one image, of which only the number of targets is read.
        runner: Runs the model on the samples.
        samples: The number of points, each with a forward and a backward pass.
        baselines: Inputs that stand for the absence of evidence, in units of the model's input: an array of several,
            (M, *space, C), such as other images of the data set; or one, as `integrated_gradients` takes it: a number,
            "mean" for the mean of each channel of the image, or an array that broadcasts to (*space, C).
        sigma: The standard deviation of the noise, as a fraction of the input's range x_max - x_min.
        seed: The seed of all draws, which is the same for every image, so that no image depends on others.

    Returns:
        Raw heatmaps (1, T, *space), in units of the score.

    Raises:
        OptionError: The baselines do not fit the image.

    Reference:
        Erion et al., "Improving performance of deep learning models with axiomatic attribution priors and expected
        gradients", Nature Machine Intelligence 2021, arXiv 1906.10670. Lundberg and Lee, "A Unified Approach to
        Interpreting Model Predictions", NeurIPS 2017, arXiv 1705.07874.
    """
    image = runner.inputs
    starts = several_baselines("baselines", baselines, image)
    random = np.random.default_rng([seed, 1])  # other numbers than those of the noise
    shares = random.random(samples, dtype=np.float32)
    chosen = random.integers(len(starts), size=samples)

    def differences() -> Iterator[FloatArray]:
        copies = noisy_copies(image, samples, sigma, seed)
        return (copy - starts[start] for copy, start in zip(copies, chosen, strict=True))

    def points() -> Iterator[FloatArray]:
        for difference, start, share in zip(differences(), chosen, shares, strict=True):
            yield starts[start] + share * difference

    total = np.zeros((capture.scores.shape[1], *image.shape[:-1]))  # float64, for a sum of many small numbers
    captures = runner.captures(points(), samples, level="input")
    for point, difference in zip(captures, differences(), strict=True):
        total += np.einsum("t...c,...c->t...", point.require_gradients()[0], difference)
    heatmaps: FloatArray = (total / samples)[None].astype(np.float32)
    return heatmaps
