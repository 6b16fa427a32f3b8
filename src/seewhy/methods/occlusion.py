"""Occlusion (Zeiler and Fergus, ECCV 2014)."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.methods.checks import MAX_RUNS, PerAxis, PerChannel, per_axis
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray

DEFAULT_PARTS = 4
"""By default, a window is a quarter of the input along each axis, and a stride is a quarter of a window."""

Window = tuple[slice, ...]
"""The slices of the input, one for each spatial axis, that a window covers."""


def occlusion(
    _: Capture,
    runner: Runner,
    *,
    window: PerAxis | None = None,
    stride: PerAxis | None = None,
    baseline: PerChannel = 0.0,
) -> FloatArray:
    """Average the drop in score over the sliding windows that cover each pixel.

    Section 4.2 of the paper, with X_w the image X with the window w covered:

        L(p) = mean_{w covers p} f(X) - f(X_w)

    The model is run once for each window, and once for the whole image.

    Args:
        runner: Runs the model.
        window: The window's size in pixels of the input: one number, or one for each spatial axis; None for a quarter
            of the input.
        stride: The distance between windows in pixels, like `window`; None for a quarter of a window. The last window
            of an axis ends at the input's edge, so that every pixel is covered.
        baseline: The value of covered pixels, in units of the model's input: a number; one for each channel; or
            "mean", the mean of each channel of the image.

    Returns:
        Raw heatmaps (1, T, *space) at the input's resolution, in units of the score.

    Raises:
        OptionError: A window is larger than the input, a stride is larger than its window, or the baseline does not
            fit the channels.

    Reference:
        Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv 1311.2901.
    """
    image = runner.inputs
    fill = _fill_value(baseline, image)
    windows = _windows(image.shape[:-1], window, stride)

    def write(numbers: range, occluded: FloatArray) -> None:
        """Write copies of the image, with window number - 1 covered; number 0 is the image itself."""
        occluded[...] = image
        for covered, number in zip(occluded, numbers, strict=True):
            if number:
                covered[windows[number - 1]] = fill

    scores = np.concatenate(list(runner.score_batches(write, 1 + len(windows)))).astype(np.float64)
    drops = scores[0] - scores[1:]
    totals, counts = np.zeros((*image.shape[:-1], drops.shape[1])), np.zeros((*image.shape[:-1], 1))
    for drop, slices in zip(drops, windows, strict=True):
        totals[slices] += drop
        counts[slices] += 1
    return np.moveaxis(totals / counts, -1, 0)[None].astype(np.float32)


def _windows(size: tuple[int, ...], window: PerAxis | None, stride: PerAxis | None) -> list[Window]:
    """Return the windows that cover an input of this size."""
    default = tuple(max(1, round(pixels / DEFAULT_PARTS)) for pixels in size)
    window_size = default if window is None else per_axis("window", window, len(size))
    default = tuple(max(1, pixels // DEFAULT_PARTS) for pixels in window_size)
    strides = default if stride is None else per_axis("stride", stride, len(size))
    for pixels, length, step in zip(size, window_size, strides, strict=True):
        if length > pixels:
            raise OptionError(f"window is {length} pixels; expected at most {pixels}, the size of the input.")
        if step > length:
            raise OptionError(
                f"stride is {step} pixels; expected at most {length}, the size of the window: pixels between two "
                "windows would never be covered."
            )
    positions = [1 - (length - pixels) // step for pixels, length, step in zip(size, window_size, strides, strict=True)]
    if math.prod(positions) > MAX_RUNS:
        raise OptionError(
            f"stride is {strides} pixels: {math.prod(positions):,} windows; expected at most {MAX_RUNS:,}. Increase it."
        )
    starts = [
        [*range(0, pixels - length, step), pixels - length]
        for pixels, length, step in zip(size, window_size, strides, strict=True)
    ]
    return [tuple(map(slice, corner, np.add(corner, window_size))) for corner in product(*starts)]


def _fill_value(baseline: PerChannel, image: FloatArray) -> FloatArray:
    """Return the value (C,) of covered pixels."""
    channels = image.shape[-1]
    if isinstance(baseline, str):
        return np.asarray(image.reshape(-1, channels).mean(axis=0))
    if isinstance(baseline, Sequence) and len(baseline) != channels:
        raise OptionError(
            f"baseline is {short_repr(baseline)}; expected 'mean', a number, or {channels}, one for each channel."
        )
    return np.full(channels, baseline, dtype=np.float32)
