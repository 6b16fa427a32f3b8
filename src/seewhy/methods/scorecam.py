"""Score-CAM and its two successors: a channel counts by the score of the image seen through its map.

Score-CAM (Wang et al., CVPR workshops 2020, arXiv 1910.01279), SS-CAM (Wang et al., 2020, arXiv 2006.14255),
IS-CAM (Naidu et al., 2020, arXiv 2010.03023).
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError
from seewhy.methods.checks import positive, whole
from seewhy.methods.method import Runner
from seewhy.methods.resizing import bilinear_weights, combine
from seewhy.types import BoolArray, Capture, FloatArray

ROUNDING = 1e-6
"""Scores that differ by less than this part of themselves are the same: float32 knows no better."""


def scorecam(capture: Capture, runner: Runner) -> FloatArray:
    """Weight each channel by how much the image, seen through the channel's map, raises the score.

    Algorithm 1 of the paper, with H^k the map brought to the input's size and then scaled to 0..1, and the baseline
    X_b = 0, which is what an image is where a mask is 0:

        C(A^k) = f(X * H^k) - f(X_b)
        alpha_k = exp(C(A^k)) / sum_k' exp(C(A^k'))
        L = ReLU(sum_k alpha_k A^k)

    The model is run once for every channel whose map is not constant, and once for the baseline. A constant map's
    H^k is 0, its masked image is the baseline and its C is 0: it has its place in the sum without a run. Where no mask
    changes the score the weights would all be 1/K, whatever the model is; the evidence is then 0.

    Returns:
        (1, T, *space), in units of the activations.
    """
    return _evidence(capture, runner, lambda mask: (mask,), 1)


def sscam(capture: Capture, runner: Runner, *, samples: int = 10, sigma: float = 2.0, seed: int = 0) -> FloatArray:
    """Weight channels as Score-CAM does, by the mean over masks with noise.

    The paper's smoothing of feature maps, delta_i from a normal distribution:

        C(A^k) = 1/N sum_i f(X * (H^k + delta_i)) - f(X_b),    delta_i ~ N(0, sigma^2)

    All channels are given the same N noises, so that what differs between them is the channels' own; and a constant
    map's masks are the noises alone, run once for all such channels.

    Args:
        capture: One image's.
        again: The model.
        samples: N, noises for each channel.
        sigma: The noise's standard deviation; masks lie in 0..1.
        seed: Of the noise.

    Returns:
        (1, T, *space), in units of the activations.
    """
    samples, sigma = whole("samples", samples), positive("sigma", sigma)
    random = np.random.default_rng(whole("seed", seed, 0))
    size = runner.inputs.shape[:-1]
    noises = np.float32(sigma) * random.standard_normal((samples, *size), dtype=np.float32)
    return _evidence(capture, runner, lambda mask: (mask + noise for noise in noises), samples)


def iscam(capture: Capture, runner: Runner, *, steps: int = 10) -> FloatArray:
    """Weight channels as Score-CAM does, by the mean over masks from faint to full.

    The integral of the score along the way from the baseline to the masked image, in N steps:

        C(A^k) = 1/N sum_{i=1..N} f(X * (i/N) H^k) - f(X_b)

    Args:
        capture: One image's.
        again: The model.
        steps: N.

    Returns:
        (1, T, *space), in units of the activations.
    """
    scales = np.arange(1, whole("steps", steps) + 1, dtype=np.float32) / np.float32(steps)
    return _evidence(capture, runner, lambda mask: (scale * mask for scale in scales), len(scales))


def _evidence(
    capture: Capture, runner: Runner, vary: Callable[[FloatArray], Iterable[FloatArray]], count: int
) -> FloatArray:
    """Run the image through every mask, varied `count` times, and add the channels up by their softmaxed increases."""
    image, maps = runner.inputs, capture.activations[0]
    _check_space(capture, image)
    axes = tuple(range(maps.ndim - 1))
    live = np.flatnonzero(maps.max(axis=axes) > maps.min(axis=axes))
    masked = (image * varied[..., None] for mask in _masks(maps, live, image.shape[:-1]) for varied in vary(mask))
    scores = runner.scores(masked, (1 + len(live)) * count).astype(np.float64)
    scores = scores.reshape(1 + len(live), count, -1).mean(axis=1)
    increases = np.zeros((maps.shape[-1], scores.shape[1]))
    increases[live] = scores[1:] - scores[0]
    weights = _softmax(increases) * _tells_apart(scores)
    return np.asarray(np.einsum("kt,n...k->nt...", weights, capture.activations), dtype=np.float32)


def _masks(maps: FloatArray, live: NDArray[np.intp], size: tuple[int, ...]) -> Iterator[FloatArray]:
    """Yield the mask of a constant map, which is 0, and then H^k of each live channel, one at a time."""
    weights = [bilinear_weights(cells, pixels) for cells, pixels in zip(maps.shape[:-1], size, strict=True)]
    yield np.zeros(size, dtype=np.float32)
    for k in live:
        mask = combine(maps[..., k], weights)
        least, most = mask.min(), mask.max()
        yield (mask - least) / (most - least) if most > least else np.zeros_like(mask)


def _softmax(increases: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(increases - increases.max(axis=0))
    return np.asarray(exponentials / exponentials.sum(axis=0))


def _tells_apart(scores: NDArray[np.float64]) -> BoolArray:
    """Return for each target whether any mask changes its score."""
    return np.asarray(np.ptp(scores, axis=0) > ROUNDING * np.abs(scores).max(axis=0))


def _check_space(capture: Capture, image: FloatArray) -> None:
    layer, space = capture.activations.ndim - 2, image.ndim - 1
    if layer != space:
        raise LayerError(
            f"The output of the layer {capture.layer!r} has {layer} axes of space and the input {space}, so its maps "
            "cannot be laid over the input as masks. Give a layer with as many, such as a convolution's."
        )
