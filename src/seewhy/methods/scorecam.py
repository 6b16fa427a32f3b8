"""Score-CAM, SS-CAM and IS-CAM: each channel is weighted by the score of the image masked with it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError
from seewhy.interpolation import Extents, resize
from seewhy.methods.checks import Runs, Seed, integer, positive
from seewhy.methods.effect import has_effect
from seewhy.methods.method import Runner
from seewhy.methods.noise import MAX_SIGMA
from seewhy.types import Capture, FloatArray

MAX_NOISE = 100_000_000
"""The maximum number of pixels of all noise samples of SS-CAM together, which are held at once: 0.4 gigabytes."""

Sigma = Annotated[float, partial(positive, most=MAX_SIGMA)]


Numbers = NDArray[np.intp]

Vary = Callable[[FloatArray, Numbers], FloatArray]
"""From masks (M, *space) and the number of a variant for each to that variant of each mask."""


def scorecam(capture: Capture, runner: Runner) -> FloatArray:
    """Weight each channel by the increase in score of the image masked with it, and sum the channels.

    Algorithm 1 of the paper, with H^k the channel resized to the input and scaled to 0..1, and the baseline X_b = 0,
    the image under a mask of zeros; the ReLU is applied to the raw heatmaps later:

        C(A^k) = f(X * H^k) - f(X_b)
        alpha_k = exp(C(A^k)) / sum_k' exp(C(A^k'))
        L = ReLU(sum_k alpha_k A^k)

    The model is run once for each channel that is not constant, and once for the baseline. For a constant channel H^k
    is 0 and C is 0, so it is part of the softmax without a run. If no mask changes the score, all weights would be 1/K
    whatever the model is; the heatmap is then 0.

    Args:
        capture: The activations of one image.
        runner: Runs the model on the masked images.

    Returns:
        Raw heatmaps (1, T, *space), in units of the activations.

    Raises:
        LayerError: The layer's output does not have as many spatial axes as the input.

    Reference:
        Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR workshops
        2020, arXiv 1910.01279.
    """
    return _score_weighted_sum(capture, runner, lambda masks, _: masks, 1)


def sscam(capture: Capture, runner: Runner, *, samples: Runs = 10, sigma: Sigma = 2.0, seed: Seed = 0) -> FloatArray:
    """Weight each channel as in Score-CAM, averaged over noisy masks.

    The smoothing of feature maps in the paper:

        C(A^k) = 1/N sum_i f(X * (H^k + delta_i)) - f(X_b),    delta_i ~ N(0, sigma^2)

    All channels have the same N noise samples, so that differences between their scores come from the channels. The
    masks of constant channels are the noise alone, and are run once for all of these channels.

    Args:
        capture: The activations of one image.
        runner: Runs the model on the masked images.
        samples: The number of noise samples for each channel, N.
        sigma: The standard deviation of the noise; masks are in 0..1.
        seed: The seed of the noise.

    Returns:
        Raw heatmaps (1, T, *space), in units of the activations.

    Raises:
        OptionError: There are more samples than fit into memory for an image of this size.
        LayerError: The layer's output does not have as many spatial axes as the input.

    Reference:
        Wang et al., "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization", 2020, arXiv 2006.14255.
    """
    size = runner.inputs.shape[:-1]
    samples = integer("samples", samples, most=max(1, MAX_NOISE // math.prod(size)))
    random = np.random.default_rng(seed)
    noises = np.float32(sigma) * random.standard_normal((samples, *size), dtype=np.float32)
    return _score_weighted_sum(capture, runner, lambda masks, variants: masks + noises[variants], samples)


def iscam(capture: Capture, runner: Runner, *, steps: Runs = 10) -> FloatArray:
    """Weight each channel as in Score-CAM, averaged over masks of increasing strength.

    The integral of the score along the path from the baseline to the masked image, in N steps:

        C(A^k) = 1/N sum_{i=1..N} f(X * (i/N) H^k) - f(X_b)

    Args:
        capture: The activations of one image.
        runner: Runs the model on the masked images.
        steps: The number of steps, N.

    Returns:
        Raw heatmaps (1, T, *space), in units of the activations.

    Raises:
        LayerError: The layer's output does not have as many spatial axes as the input.

    Reference:
        Naidu et al., "IS-CAM: Integrated Score-CAM for axiomatic-based explanations", 2020, arXiv 2010.03023.
    """
    scales = np.arange(1, steps + 1, dtype=np.float32) / np.float32(steps)

    def scaled(masks: FloatArray, variants: Numbers) -> FloatArray:
        return masks * scales[variants].reshape(-1, *(1,) * (masks.ndim - 1))

    return _score_weighted_sum(capture, runner, scaled, len(scales))


def _score_weighted_sum(capture: Capture, runner: Runner, vary: Vary, count: int) -> FloatArray:
    """Sum the channels, weighted by the softmax of their mean increase in score over `count` variants of each mask."""
    image, channels = runner.inputs, capture.activations[0]
    _check_axes(capture, image)
    axes = tuple(range(channels.ndim - 1))
    varying = np.flatnonzero(channels.max(axis=axes) > channels.min(axis=axes))
    maps = np.moveaxis(channels[..., varying], -1, 0)

    def write(numbers: range, masked: FloatArray) -> None:
        """Write the image under variants of the masks: `count` of the mask of a constant channel, then of each H^k."""
        of_masks, variants = np.divmod(np.asarray(numbers), count)
        some, positions = np.unique(of_masks, return_inverse=True)
        masks = _masks(maps, some, image.shape[:-1], runner.layer_extents)
        np.multiply(image, vary(masks[positions], variants)[..., None], out=masked)

    batches = runner.score_batches(write, (1 + len(varying)) * count)
    scores = np.concatenate(list(batches)).astype(np.float64)
    scores = scores.reshape(1 + len(varying), count, -1).mean(axis=1)
    increases = np.zeros((channels.shape[-1], scores.shape[1]))
    increases[varying] = scores[1:] - scores[0]
    weights = _softmax(increases) * has_effect(scores)
    return np.asarray(np.einsum("kt,n...k->nt...", weights, np.asarray(capture.activations)), dtype=np.float32)


def _masks(maps: FloatArray, numbers: Numbers, size: tuple[int, ...], extents: Extents | None) -> FloatArray:
    """Return masks (M, *size): 0, the mask of a constant channel, for number 0; for number k, H^k of maps[k - 1]."""
    axes = tuple(range(1, 1 + len(size)))
    masks = np.zeros((len(numbers), *size), dtype=np.float32)
    is_map = numbers > 0
    if is_map.any():
        resized = resize(maps[numbers[is_map] - 1], size, extents)
        low, high = resized.min(axis=axes, keepdims=True), resized.max(axis=axes, keepdims=True)
        masks[is_map] = np.where(high > low, (resized - low) / np.where(high > low, high - low, 1), 0)
    return masks


def _softmax(increases: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(increases - increases.max(axis=0))
    return np.asarray(exponentials / exponentials.sum(axis=0))


def _check_axes(capture: Capture, image: FloatArray) -> None:
    layer, space = len(capture.activations.shape) - 2, image.ndim - 1
    if layer != space:
        raise LayerError(
            f"The output of the layer {capture.layer!r} has {layer} spatial axes and the input has {space}, so its "
            "channels cannot mask the input. Give a layer whose output has as many axes, such as a convolution."
        )
