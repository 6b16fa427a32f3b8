"""Other views of an image, mirrored and zoomed: explained as well, brought back into place, and averaged.

What a map owes to where the model's cells happen to lie differs from view to view and averages out; what it owes
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
"""How far the views called "scales" zoom, out and in."""

AUGMENTATIONS = ("flips", "scales")


@dataclass(frozen=True)
class Augmentation:
    """An image mirrored left to right, or zoomed about its centre, or both.

    Attributes:
        is_flipped: Whether it is mirrored.
        scale: Above 1 the image is zoomed into, and its border left out; below 1 it is made smaller, and its
            outermost pixels are repeated round it.
    """

    is_flipped: bool
    scale: float

    def of(self, images: FloatArray) -> FloatArray:
        """Return this view of images (N, h, w, C)."""
        rows, columns = (self._weights(size) for size in images.shape[1:3])
        zoomed = np.einsum("ph,nhwc,qw->npqc", rows, images, columns, optimize=True)
        return np.ascontiguousarray(zoomed[:, :, ::-1] if self.is_flipped else zoomed, dtype=np.float32)

    def back(self, maps: FloatArray) -> FloatArray:
        """Return maps (N, T, u, v) of this view as maps of the image; 0 where the view did not show it."""
        maps = maps[..., ::-1] if self.is_flipped else maps
        return self._placement(maps.shape[2:]).place(maps)

    def covered(self, size: tuple[int, ...]) -> BoolArray:
        """Return which of the cells (u, v) of the image the view showed."""
        return self._placement(size).covered

    def _placement(self, size: tuple[int, ...]) -> Placement:
        """Return where the view lies on the image, in the cells of a map."""
        (top, bottom), (left, right) = (_about_centre(cells, cells / self.scale) for cells in size)
        return Placement((size[0], size[1]), (top, left, bottom, right))

    def _weights(self, size: int) -> FloatArray:
        """Return how much each of the image's pixels counts at each of the view's, (size, size)."""
        return bilinear_weights(size, size, *_about_centre(size, size * self.scale))


def parse_augmentations(augmentation: Any) -> tuple[Augmentation, ...]:
    """Return the views that are meant, without the image as it is.

    Args:
        smooth: "flips", "scales", or both in a tuple; None for no views.

    Raises:
        OptionError: It is none of these.
    """
    names = (
        ()
        if augmentation is None
        else tuple(augmentation)
        if isinstance(augmentation, (list, tuple))
        else (augmentation,)
    )
    for name in names:
        if name not in AUGMENTATIONS:
            near = did_you_mean(name, AUGMENTATIONS) if isinstance(name, str) else ""
            raise OptionError(f"Unknown augmentation {name!r}.{near} Expected 'flips', 'scales', or both in a tuple.")
    flips = (False, True) if "flips" in names else (False,)
    scales = (1.0, *SCALES) if "scales" in names else (1.0,)
    every = [Augmentation(is_flipped, scale) for is_flipped, scale in product(flips, scales)]
    return tuple(every[1:])  # the first is the image as it is


def average_augmented(maps: FloatArray, seen: Iterable[tuple[Augmentation, FloatArray]]) -> FloatArray:
    """Average the maps (N, T, u, v) of an image with those of its views; where a view did not reach, without it."""
    size = maps.shape[2:]
    total, count = maps.astype(np.float64), np.ones(size)
    for view, each in seen:
        total += view.back(each)
        count += view.covered(size)
    return np.asarray(total / count, dtype=np.float32)


def _about_centre(size: int, length: float) -> tuple[float, float]:
    """Return where a stretch of this length about the middle of 0..size begins and ends."""
    return (size - length) / 2, (size + length) / 2
