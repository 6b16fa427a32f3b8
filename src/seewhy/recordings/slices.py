"""Slices of volumes as grey images, drawn true to the distances of the voxels."""

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from PIL import Image

from seewhy.images.geometry import Placement
from seewhy.recordings.affine import SliceLayout, slice_layout
from seewhy.recordings.grid_placement import GridPlacement
from seewhy.recordings.recording import Volume
from seewhy.types import FloatArray, ImageArray

QUANTILES = (0.005, 0.995)
"""The quantiles of a volume's values that are drawn black and white where it has no window."""

SAMPLED = 1_000_000
"""How many values the quantiles are taken of."""

MAX_SIDE = 4096
"""The longest side of a slice that is drawn, in pixels."""


_ranges: WeakKeyDictionary[Volume, tuple[float, float]] = WeakKeyDictionary()
"""The grey ranges of volumes: every slice needs that of its volume."""


class SliceGeometry(NamedTuple):
    """How the slices of a volume across one axis are drawn.

    Attributes:
        layout: Which axes are drawn as rows and columns.
        size: (H, W) of the drawn slice, in square pixels.
    """

    layout: SliceLayout
    size: tuple[int, int]

    def arrange(self, plane: FloatArray, axis: int) -> FloatArray:
        """Return values (..., a, b), on the two other axes in the order of the volume, as they are drawn.

        Args:
            plane: The values.
            axis: The axis that the slices are across.
        """
        first = next(other for other in range(3) if other != axis)
        plane = plane if self.layout.rows == first else np.swapaxes(plane, -1, -2)
        plane = plane[..., ::-1, :] if self.layout.flip_rows else plane
        return plane[..., ::-1] if self.layout.flip_columns else plane

    def placement(self, grid: GridPlacement) -> Placement:
        """Return where the heatmaps lie on a drawn slice."""
        height, width = self.size
        top, bottom = _edges(grid, self.layout.rows, height, is_flipped=self.layout.flip_rows)
        left, right = _edges(grid, self.layout.columns, width, is_flipped=self.layout.flip_columns)
        return Placement(self.size, (top, left, bottom, right))


def _edges(grid: GridPlacement, axis: int, pixels: int, *, is_flipped: bool) -> tuple[float, float]:
    start, stop = (edge * pixels / grid.size[axis] for edge in grid.extents[axis])
    return (pixels - stop, pixels - start) if is_flipped else (start, stop)


def slice_geometry(volume: Volume, axis: int) -> SliceGeometry:
    """Return how the slices across an axis are drawn: with square pixels, as large as the smaller distance."""
    layout = slice_layout(volume.affine, axis)
    lengths = [volume.space[other] * volume.spacing[other] for other in (layout.rows, layout.columns)]
    pixel = max(min(volume.spacing[layout.rows], volume.spacing[layout.columns]), max(lengths) / MAX_SIDE)
    height, width = (max(1, round(length / pixel)) for length in lengths)
    return SliceGeometry(layout, (height, width))


def slice_image(volume: Volume, position: int, axis: int) -> ImageArray:
    """Return a slice as a grey image, uint8 (H, W, 3); of several channels the first one is shown."""
    geometry = slice_geometry(volume, axis)
    values = np.take(volume.samples[..., 0], position, axis=axis)
    low, high = grey_range(volume)
    grey = np.clip((values - low) / (high - low), 0, 1)
    grey = 1 - grey if volume.inverted else grey
    arranged = np.ascontiguousarray(geometry.arrange(grey.astype(np.float32), axis))
    height, width = geometry.size
    image = Image.fromarray(arranged).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.rint(255 * np.asarray(image)).astype(np.uint8)
    return np.stack([pixels] * 3, axis=-1)


def grey_range(volume: Volume) -> tuple[float, float]:
    """Return the values that are drawn black and white, the same for all slices; the higher one second."""
    if volume.window is not None:
        return volume.window
    if volume not in _ranges:
        _ranges[volume] = _measured_range(volume)
    return _ranges[volume]


def _measured_range(volume: Volume) -> tuple[float, float]:
    values = volume.samples[..., 0].reshape(-1)
    values = values[:: max(1, values.size // SAMPLED)]
    low, high = map(float, np.quantile(values, QUANTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1)
