"""Test-time augmentation: an image is flipped and scaled, each version is explained, and the heatmaps are averaged.

What a heatmap owes to the alignment of the model's cells differs from version to version and averages out; what it owes
to the image stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from seewhy.errors import OptionError, did_you_mean
from seewhy.images.geometry import Placement
from seewhy.interpolation import bilinear_weights
from seewhy.types import BoolArray, FloatArray

SCALES = (0.9, 1.1)
"""The zoom factors of "scales"."""

AUGMENTATIONS = ("flips", "scales")


@dataclass(frozen=True)
class Augmentation:
    """An image flipped left to right, or zoomed about its centre, or both.

    Attributes:
        is_flipped: Whether the image is flipped.
        scale: Above 1 the image is enlarged and its border cut off; below 1 it is shrunk and its outermost pixels are
            repeated around it.
    """

    is_flipped: bool
    scale: float

    def apply(self, images: FloatArray) -> FloatArray:
        """Augment images (N, h, w, C)."""
        rows, columns = (self._weights(size) for size in images.shape[1:3])
        zoomed = np.einsum("ph,nhwc,qw->npqc", rows, images, columns, optimize=True)
        return np.ascontiguousarray(zoomed[:, :, ::-1] if self.is_flipped else zoomed, dtype=np.float32)

    def undo(self, heatmaps: FloatArray) -> FloatArray:
        """Move heatmaps (N, T, u, v) of augmented images back into place; 0 where the augmented image shows nothing."""
        heatmaps = heatmaps[..., ::-1] if self.is_flipped else heatmaps
        return self._placement(heatmaps.shape[2:]).place(heatmaps)

    def covered(self, size: tuple[int, ...]) -> BoolArray:
        """Return which cells (u, v) of the image the augmented image shows."""
        return self._placement(size).covered

    def _placement(self, size: tuple[int, ...]) -> Placement:
        """Return where the augmented image lies on the image, in cells of a heatmap."""
        (top, bottom), (left, right) = (_centred(cells, cells / self.scale) for cells in size)
        return Placement((size[0], size[1]), (top, left, bottom, right))

    def _weights(self, size: int) -> FloatArray:
        """Return the weight of each pixel of the image at each pixel of the augmented image, (size, size)."""
        return bilinear_weights(size, size, *_centred(size, size * self.scale))


def parse_augmentations(augmentation: Any) -> tuple[Augmentation, ...]:
    """Return the augmentations meant by "flips", "scales", a tuple of both, or None; the image itself is left out.

    Raises:
        OptionError: The argument is none of these.
    """
    names = () if augmentation is None else augmentation if isinstance(augmentation, (list, tuple)) else (augmentation,)
    for name in names:
        if name not in AUGMENTATIONS:
            near = did_you_mean(name, AUGMENTATIONS) if isinstance(name, str) else ""
            raise OptionError(f"Unknown augmentation {name!r}.{near} Expected 'flips', 'scales', or both in a tuple.")
    flips = (False, True) if "flips" in names else (False,)
    scales = (1.0, *SCALES) if "scales" in names else (1.0,)
    versions = [Augmentation(is_flipped, scale) for is_flipped, scale in product(flips, scales)]
    return tuple(versions[1:])  # the first is the image itself


def average_augmented(heatmaps: FloatArray, augmented: Iterable[tuple[Augmentation, FloatArray]]) -> FloatArray:
    """Average heatmaps (N, T, u, v) with those of augmented images, in each cell over those that show it."""
    size = heatmaps.shape[2:]
    total, count = heatmaps.astype(np.float64), np.ones(size)
    for augmentation, maps in augmented:
        total += augmentation.undo(maps)
        count += augmentation.covered(size)
    return np.asarray(total / count, dtype=np.float32)


def _centred(size: int, length: float) -> tuple[float, float]:
    """Return where a segment of this length, centred in 0..size, begins and ends."""
    return (size - length) / 2, (size + length) / 2
