"""Occlusion (Zeiler and Fergus, ECCV 2014, arXiv 1311.2901)."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from seewhy.errors import OptionError
from seewhy.methods.checks import PerAxis, per_axis, per_channel
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray

PART = 4
"""If nothing else is asked for, a window is this part of the input along every axis, and a stride this part of it."""

Window = tuple[slice, ...]
"""Where a window lies, along every axis of space."""


def occlusion(
    _: Capture,
    runner: Runner,
    *,
    window: PerAxis | None = None,
    stride: PerAxis | None = None,
    baseline: float | Sequence[float] | str = 0.0,
) -> FloatArray:
    """Cover the image piece by piece, and see how the score drops.

    Section 4.2 of the paper. X_w is the image with the window w covered; a pixel's evidence is the mean over the
    windows that cover it:

        L(p) = mean_{w covers p} f(X) - f(X_w)

    The model is run once for every window, and once for the whole image.

    Args:
        again: The model.
        window: Pixels of the input, for every axis of space or one for each; a quarter of the input by default.
        stride: Pixels from a window to the next, as `window`; a quarter of a window by default. The last window of an
            axis lies at the input's edge, so that every pixel is covered.
        baseline: What covers, in units of the model's input: a number; one for each channel; or "mean", the mean of
            the image, channel by channel.

    Returns:
        (1, T, *space) of the input, in units of the score.

    Raises:
        OptionError: A window is larger than the input, a stride is larger than its window, or the baseline does not
            fit the channels.
    """
    image = runner.inputs
    cover = _cover(baseline, image)
    boxes = _boxes(image.shape[:-1], window, stride)

    def occluded() -> Iterator[FloatArray]:
        yield image
        for box in boxes:
            covered = image.copy()
            covered[box] = cover
            yield covered

    scores = runner.scores(occluded(), 1 + len(boxes)).astype(np.float64)
    drops = scores[0] - scores[1:]
    evidence, covering = np.zeros((*image.shape[:-1], drops.shape[1])), np.zeros((*image.shape[:-1], 1))
    for drop, box in zip(drops, boxes, strict=True):
        evidence[box] += drop
        covering[box] += 1
    return np.moveaxis(evidence / covering, -1, 0)[None].astype(np.float32)


def _boxes(size: tuple[int, ...], window: PerAxis | None, stride: PerAxis | None) -> list[Window]:
    """Lay windows over an input."""
    default = tuple(max(1, round(pixels / PART)) for pixels in size)
    windows = default if window is None else per_axis("window", window, len(size))
    default = tuple(max(1, pixels // PART) for pixels in windows)
    strides = default if stride is None else per_axis("stride", stride, len(size))
    for pixels, covered, step in zip(size, windows, strides, strict=True):
        if covered > pixels:
            raise OptionError(f"window is {covered} pixels, and the input has {pixels}; expected no more than that.")
        if step > covered:
            raise OptionError(
                f"stride is {step} pixels, and the window {covered}: what lies between two windows would never be "
                "covered. Expected a stride no larger than the window."
            )
    starts = [
        [*range(0, pixels - covered, step), pixels - covered]
        for pixels, covered, step in zip(size, windows, strides, strict=True)
    ]
    return [tuple(map(slice, corner, np.add(corner, windows))) for corner in product(*starts)]


def _cover(baseline: float | Sequence[float] | str, image: FloatArray) -> FloatArray:
    """Return what covers, (C,)."""
    channels = image.shape[-1]
    if isinstance(baseline, str) and baseline == "mean":
        return np.asarray(image.reshape(-1, channels).mean(axis=0))
    return np.array(per_channel("baseline", baseline, channels, "'mean', "), dtype=np.float32)
