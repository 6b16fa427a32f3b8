"""Whether the axes of a layer's output are those of the image: a changed patch of the input changes it there.

The two axes of a layer's output may be heads and tokens of attention, or classes and boxes. And a model may mirror,
transpose or crop what it computes. So four patches of the input, above and below, left and right of the centre, are
replaced by noise in turn, and where the output changes is compared with where the patch is. Of a volume or a video the
patches are in four of the eight corners, no two of which differ in one axis alone; of a signal they follow each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.input_variants import noise_like
from seewhy.types import FloatArray

MIN_SLOPE, MAX_SLOPE = 0.3, 1.7
"""How far the place of the change may move for each step of the patch: 1 where both are the same."""

MAX_OFFSET = 0.15
"""How far, as a share of the image, the places of the changes may lie from the patches on average."""

MIN_CHANGE = 1e-3
"""The change of the output, relative to that by other patches, below which a patch is not seen at all."""

MIN_CONTRAST = 0.45
"""The share of a patch's changes that is where other patches change less, of 0.75 where each has its own positions.

Below it, as at a layer of few positions that each see most of the image, the places of the changes show no fault.
"""

MIN_UNSEEN = 2
"""How many patches of four must change nothing: a single one may hold nothing that the layer responds to."""

SIGNS = {
    1: np.array([[-1.5], [-0.5], [0.5], [1.5]]),
    2: np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]),
    3: np.array([[-1.0, -1, -1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]),
}
"""Where the patches are on inputs of one, two and three axes, in quarters from the centre: above or below it, ..."""

HALF_PATCH = {1: 3 / 32, 2: 3 / 16, 3: 3 / 16}
"""Half the size of a patch, as a share of the image: most of a quarter, so that it fills cells of coarse layers."""

NAMES = {1: ("positions",), 2: ("rows", "columns"), 3: ("slices", "rows", "columns")}
"""What messages call the positions along each axis."""

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class ImageAxes:
    """How the axes of a layer's output follow those of the image.

    Attributes:
        slopes: For each axis that has more than one position, how far the place of the change moves, relative to the
            patch: 1 where it is the image's axis, negative where it is mirrored, 0 where it is another axis.
        offset: The largest distance along an axis of the changes from the patches on average, as a share of its length.
        unseen: The number of patches of four that change nothing.
        fault: What is wrong; empty if nothing is.
    """

    slopes: tuple[float, ...]
    offset: float
    unseen: int
    fault: str

    @property
    def agreement(self) -> float:
        """The smallest slope: 1 for the axes of the image, and 0 where a part of the image does not show at all."""
        return min(self.slopes, default=0.0)


def occluded_images(image: FloatArray, box: Sequence[float], first: int) -> tuple[FloatArray, Array] | None:
    """Return an image with each of four patches replaced by noise, and the places of their centres inside the box.

    Args:
        image: (1, *space, C) or (1, C, *space), with one to three axes of space.
        box: Which part of the input the layer shows: where it starts on each axis, and where it stops.
        first: The first axis of space.

    Returns:
        (4, ...) and (4, axes) in 0..1; None if the image is too small.
    """
    axes = image.ndim - 2
    noise = noise_like(image, image.shape[1:])
    images, places = np.repeat(image, len(SIGNS[axes]), axis=0), np.zeros(SIGNS[axes].shape)
    for number, signs in enumerate(SIGNS[axes]):
        window: list[slice] = [slice(None)] * (image.ndim - 1)
        for axis, sign in enumerate(signs):
            size = image.shape[first + axis]
            low, high = max(box[axis], 0.0), min(box[axis + axes], 1.0)
            middle, half = (low + high) / 2 + sign * (high - low) / 4, HALF_PATCH[axes] * (high - low)
            start, stop = round((middle - half) * size), round((middle + half) * size)
            if stop <= start:
                return None
            window[first - 1 + axis] = slice(start, stop)
            places[number, axis] = ((start + stop) / 2 / size - box[axis]) / (box[axis + axes] - box[axis])
        images[number][tuple(window)] = noise[tuple(window)]
    return images, places


def measure_axes(before: FloatArray, after: FloatArray, places: Array) -> ImageAxes | None:
    """Return how the axes of a layer's output follow those of the image.

    Args:
        before: (1, *space, K), the activations of the image.
        after: (4, *space, K), those with a patch of it replaced.
        places: (4, axes), the centres of the patches, in 0..1 of what the layer shows.

    Returns:
        None where that cannot be told: nothing changes, all patches change the same positions, or the layer has another
        number of spatial axes.
    """
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None  # a check of what was captured says so
    before = before.astype(np.float64)
    changes: Array = np.abs(after - before).sum(axis=-1)
    totals = changes.reshape(len(changes), -1).sum(axis=1)
    if changes.ndim != places.shape[1] + 1 or totals.max() <= MIN_CHANGE**2 * np.abs(before).sum():
        return None
    seen = totals > MIN_CHANGE * totals.max()
    unseen = int((~seen).sum())
    if unseen >= MIN_UNSEEN and places.shape[1] == 2:  # a part of a volume or a signal may well hold nothing
        return ImageAxes((), 0.0, unseen, f"{unseen} of 4 changed patches of the image change nothing there")
    return _compare(changes / totals.reshape(-1, *[1] * places.shape[1]), places) if not unseen else None


def _compare(changes: Array, places: Array) -> ImageAxes | None:
    """Compare where the output changes, (4, *space), with where the patches are.

    What all patches change alike, as the statistics of a normalisation do, tells nothing and is left out.
    """
    contrast = np.maximum(changes - changes.mean(axis=0), 0)
    space = tuple(range(1, changes.ndim))
    weights = contrast**2 / np.maximum((contrast**2).sum(axis=space, keepdims=True), np.finfo(np.float64).tiny)
    slopes: dict[str, float] = {}
    offsets = []
    for axis, size in enumerate(changes.shape[1:]):
        if size == 1:
            continue
        positions = (np.arange(size) + 0.5) / size
        others = tuple(other for other in space if other != axis + 1)
        found, expected = (weights.sum(axis=others) * positions).sum(axis=1), places[:, axis]
        ratios = (found - found.mean()) / (expected - expected.mean())
        # By chance the places may agree on average, but hardly for each patch.
        slope = float(ratios.min() if ratios.min() < 0 and ratios.mean() > MIN_SLOPE else ratios.mean())
        slopes[NAMES[len(space)][axis]] = slope
        offsets.append(abs(float(found.mean() - expected.mean())))
    if not slopes:
        return None
    offset = max(offsets)
    fault = _fault(slopes, offset)
    is_clear = not fault or contrast.sum(axis=space).mean() >= MIN_CONTRAST
    return ImageAxes(tuple(slopes.values()), offset, 0, fault) if is_clear else None


def _fault(slopes: dict[str, float], offset: float) -> str:
    for axis, slope in slopes.items():
        if slope < MIN_SLOPE:
            way = "move against" if slope < -MIN_SLOPE else "do not follow"
            return f"its {axis} {way} those of the image ({slope:.2f} for a step of 1)"
        if slope > MAX_SLOPE:
            return f"its {axis} show a part of the image only (they move by {slope:.2f} for a step of 1)"
    if offset > MAX_OFFSET:
        return f"what it shows is shifted by {offset:.2f} of the image"
    return ""
