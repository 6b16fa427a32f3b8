"""Max-sensitivity (Yeh et al., NeurIPS 2019)."""

import numpy as np

from seewhy.evaluate.explained_images import EXPLAINED_AT_ONCE, explained_batches
from seewhy.evaluate.model_scores import ImagesLike
from seewhy.explainer import Explainer
from seewhy.methods.checks import integer, not_negative
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, FloatArray

SAMPLES = 10


def max_sensitivity(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    samples: int = SAMPLES,
    radius: float = 0.02,
    batch_size: int = EXPLAINED_AT_ONCE,
    seed: int = 0,
) -> DoubleArray:
    """Return how much a heatmap changes at most under noise that no one would see.

    Definition 2 of the paper, estimated with random y, and relative to the size of the heatmap as in Captum:

        SENS_MAX = max_{|y - x| <= r} |L(y) - L(x)| / |L(x)|

    with Euclidean norms of the heatmaps, and the largest change of a pixel as the distance of the images. Lower is
    better; a constant map has 0, the best value, so it says nothing without a metric of faithfulness.

    Args:
        explainer: Makes the heatmaps.
        images: Paths, PIL images or uint8 arrays (H, W, 3); or preprocessed inputs, floats (N, ...).
        targets: As for `Explainer.explain`. "top-1" is the top class of the image itself.
        samples: The number of noisy images.
        radius: The largest change of a pixel, as a fraction of the range of the image's input, x_max - x_min.
        batch_size: How many images, or perturbations of an image, run at once.
        seed: The seed of the noise, which is the same for every image.

    Returns:
        float64 (N, T), 0 or more; NaN for a heatmap of zeros.

    Raises:
        SeewhyError: As for `Explainer.explain`.

    Reference:
        Yeh, Hsieh, Suggala, Inouye and Ravikumar, "On the (In)fidelity and Sensitivity of Explanations", NeurIPS 2019,
        arXiv 1901.09392.
    """
    samples, radius = integer("samples", samples), not_negative("radius", radius)
    values = []
    for batch in explained_batches(explainer, images, targets, batch_size=batch_size):
        own, random = batch.heatmaps.values.astype(np.float64), np.random.default_rng(seed)
        largest = np.zeros(batch.shape)
        for _ in range(samples):
            noisy = batch.explain(_with_noise(batch.pixels, radius, random)).values
            largest = np.maximum(largest, _norms(noisy - own))
        norms = _norms(own)
        values.append(np.divide(largest, norms, out=np.full(batch.shape, np.nan), where=norms > 0))
    return np.concatenate(values)


def _with_noise(pixels: FloatArray, radius: float, random: np.random.Generator) -> FloatArray:
    """Add the same uniform noise to every image (n, h, w, C), scaled by its range."""
    ranges = np.ptp(pixels, axis=(1, 2, 3), keepdims=True)
    return np.asarray(pixels + radius * ranges * random.uniform(-1, 1, pixels.shape[1:]), dtype=np.float32)


def _norms(heatmaps: DoubleArray) -> DoubleArray:
    return np.asarray(np.sqrt((heatmaps**2).sum(axis=tuple(range(2, heatmaps.ndim)))))


def sensitivity_explanations(*, samples: int = SAMPLES, **_: object) -> int:
    """Return the explanations of an image: one for each noisy copy, and its own."""
    return samples + 1
