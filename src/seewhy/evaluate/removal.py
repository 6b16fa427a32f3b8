"""Removing pixels in the order of a heatmap, and what stands in their place."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import OptionError, short_repr
from seewhy.interpolation import interpolate
from seewhy.methods.baselines import Baseline, finite_baseline, one_baseline
from seewhy.methods.checks import integer
from seewhy.types import DoubleArray, FloatArray

PAPER_SIGMA = 5 / 224
"""The blur of RISE: a standard deviation of 5 pixels for inputs of 224, here as a share of the shorter side."""


def pixel_order(heatmap: DoubleArray, seed: int) -> NDArray[np.intp]:
    """Return the positions of pixels in a flattened map (h, w), the highest value first.

    Equal values are in random order, the same for every map of this size: in the order of rows, the zeros of a map
    would be removed from the top down, which is an explanation of its own.
    """
    shuffled = np.random.default_rng(seed).permutation(heatmap.size)
    return np.asarray(shuffled[np.argsort(-heatmap.ravel()[shuffled], kind="stable")])


def removed_counts(pixels: int, steps: int) -> NDArray[np.intp]:
    """Return how many pixels are removed after each step, from 0 to all; at least one more in each step."""
    steps = min(integer("steps", steps), pixels)
    return np.rint(np.linspace(0, pixels, steps + 1)).astype(np.intp)


def transitions(
    begin: FloatArray, end: FloatArray, order: NDArray[np.intp], counts: Sequence[int] | NDArray[np.intp]
) -> Iterator[FloatArray]:
    """Yield an image (h, w, C) with the first pixels of an order taken from another, for each of rising counts.

    It is one array, changed in place each time.
    """
    current, done = begin.reshape(-1, begin.shape[-1]).copy(), 0
    flat_end = end.reshape(current.shape)
    for count in counts:
        changed = order[done:count]
        current[changed] = flat_end[changed]
        done = int(count)
        yield current.reshape(begin.shape)


def removed_pixels(baseline: Baseline, image: FloatArray) -> FloatArray:
    """Return what stands in the place of removed pixels, (h, w, C).

    Args:
        baseline: "blur", the blurred image; "mean", the mean of each channel; a number, or an array that broadcasts to
            the image, channels last, in units of the model's input.
        image: (h, w, C).

    Raises:
        OptionError: The baseline is none of these.
    """
    if isinstance(baseline, str) and baseline not in ("blur", "mean"):
        raise OptionError(f"baseline is {short_repr(baseline)}; expected 'blur', 'mean', a number or an array.")
    if isinstance(baseline, str) and baseline == "blur":
        return blurred(image)
    return one_baseline("baseline", finite_baseline("baseline", baseline), image)


def blurred(image: FloatArray, sigma: float | None = None) -> FloatArray:
    """Blur an image (h, w, C) with a Gaussian.

    Args:
        image: The image; beyond its border, its outermost pixels are left out of the mean.
        sigma: The standard deviation in pixels; None for `PAPER_SIGMA` of the shorter side.
    """
    sigma = PAPER_SIGMA * min(image.shape[:2]) if sigma is None else sigma
    weights = [_gaussian_weights(pixels, sigma) for pixels in image.shape[:2]]
    return np.moveaxis(interpolate(np.moveaxis(image, -1, 0), weights), 0, -1)


def _gaussian_weights(pixels: int, sigma: float) -> FloatArray:
    """Return the weight of each pixel of a line in each blurred pixel, (pixels, pixels); rows sum to 1."""
    distances = np.subtract.outer(np.arange(pixels), np.arange(pixels)) / sigma
    weights = np.exp(-0.5 * distances**2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
