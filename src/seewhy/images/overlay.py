"""Overlays: heatmaps blended into their images, and heatmaps as images of their own."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from seewhy.images.colour import color_indices, color_table, colorize
from seewhy.images.geometry import Placement
from seewhy.images.style import Rescale, Style
from seewhy.types import BoolArray, FloatArray, ImageArray

BAND_PIXELS = 30_000
"""The number of pixels that are blended at a time: what that takes, 36 bytes a pixel, stays in a core's cache."""

LINES = 300
"""The lines of a frame are as wide as the shorter side of the image divided by this."""


def heatmap_image(heatmap: FloatArray, covered: BoolArray, colormap: str) -> ImageArray:
    """Convert a heatmap to colours, white where the model did not see the image.

    Args:
        heatmap: (H, W) in 0..1.
        covered: (H, W); False where the model did not see the image.
        colormap: The name of a colour map.

    Returns:
        uint8 (H, W, 3).

    Raises:
        OptionError: The colour map is unknown.
    """
    return np.where(covered[..., None], colorize(heatmap, colormap), np.uint8(255))


def overlay(image: ImageArray, heatmap: FloatArray, covered: BoolArray, style: Style) -> ImageArray:
    """Blend a heatmap into its image: `image_weight * image + alpha * colours`.

    Args:
        image: uint8 (H, W, 3).
        heatmap: (H, W) in 0..1.
        covered: (H, W); where it is False the model did not see the image, which stays unchanged there.
        style: The weights, the colour map, and how the sum is rescaled to 0..255.

    Returns:
        uint8 (H, W, 3).

    Raises:
        OptionError: The colour map is unknown.
    """
    box = _bounding_box(covered)
    inside, placed = covered[box], heatmap[box]
    return _blended(image, box, _Blend(image[box], lambda rows: placed[rows], style), inside, style.rescale)


def placed_overlay(image: ImageArray, heatmap: FloatArray, placement: Placement, style: Style) -> ImageArray:
    """Do as `overlay`, with a heatmap that is placed on the image a band of rows at a time, where the model saw it.

    Args:
        image: uint8 (H, W, 3).
        heatmap: (u, v) in 0..1.
        placement: Where the heatmap lies on the image.
        style: As for `overlay`, and how the heatmap is resized.

    Returns:
        uint8 (H, W, 3).

    Raises:
        OptionError: The colour map is unknown.
    """
    box = placement.covered_box
    blend = _Blend(image[box], placement.covered_rows(heatmap, style.upsampling), style)
    return _blended(image, box, blend, None, style.rescale)


def _blended(
    image: ImageArray, box: tuple[slice, slice], blend: "_Blend", covered: BoolArray | None, rescale: Rescale
) -> ImageArray:
    """Return a copy of an image with a blend in a box, where that is covered; None for all of the box."""
    pixels = image.copy()
    part = pixels[box]
    if not part.size:
        return pixels
    scale = _Scale(0, 1) if rescale == "none" else _rescaling(blend, part.shape[:2], covered, rescale)
    for rows in _bands(*part.shape[:2]):
        blended = scale.apply(blend.rows(rows))
        np.rint(blended, out=blended)
        is_covered = True if covered is None or covered[rows].all() else covered[rows][..., None]
        np.copyto(part[rows], blended, casting="unsafe", where=is_covered)
    return pixels


def outlined(image: ImageArray, box: tuple[float, float, float, float]) -> ImageArray:
    """Return a copy of an image with a white frame between two dark lines along a box.

    Args:
        image: uint8 (H, W, 3).
        box: (left, top, right, bottom) in pixels. Edges outside of the image are not drawn.
    """
    drawn = image.copy()
    width = max(1, round(min(image.shape[:2]) / LINES))
    left, top, right, bottom = (round(edge) for edge in box)
    for inset, shade in ((-width, 0), (width, 0), (0, 255)):
        rows, columns = (top + inset, bottom - inset), (left + inset, right - inset)
        for start in (rows[0], rows[1] - width):
            drawn[_clipped(start, start + width), _clipped(*columns)] = shade
        for start in (columns[0], columns[1] - width):
            drawn[_clipped(*rows), _clipped(start, start + width)] = shade
    return drawn


def _clipped(start: int, stop: int) -> slice:
    return slice(max(start, 0), max(stop, 0))


class _Blend:
    """The weighted sum of an image and its heatmap's colours, computed for a band of rows at a time.

    All bands share their memory: to get memory for each from the system takes longer than the arithmetic.
    """

    def __init__(self, image: ImageArray, heatmap_rows: Callable[[slice], FloatArray], style: Style) -> None:
        self._image, self._heatmap_rows = image, heatmap_rows
        self._image_weight = np.float32(1 - style.alpha if style.image_weight is None else style.image_weight)
        # The colours are weighted once, not at every pixel.
        self._colors = style.alpha * color_table(style.colormap).astype(np.float32)
        height, width = _band_height(image.shape[1]), image.shape[1]
        self._sums, self._taken = np.empty((2, height, width, 3), np.float32)
        self._scaled, self._indices = np.empty((height, width), np.float32), np.empty((height, width), np.intp)

    def rows(self, rows: slice) -> FloatArray:
        """Return float32 (rows, W, 3), not yet in 0..255, which the next call overwrites."""
        heatmap = self._heatmap_rows(rows)
        height = len(heatmap)
        indices = color_indices(heatmap, self._scaled[:height], self._indices[:height])
        colors = np.take(self._colors, indices, axis=0, mode="clip", out=self._taken[:height])  # "raise" would copy
        blended: FloatArray = np.multiply(self._image[rows], self._image_weight, out=self._sums[:height])
        blended += colors
        return blended


class _Scale(NamedTuple):
    """How a sum is brought to 0..255: `(sum - low) * factor`, clipped."""

    low: float
    factor: float

    def apply(self, blended: FloatArray) -> FloatArray:
        if self != (0, 1):
            blended -= self.low
            blended *= self.factor
        return np.clip(blended, 0, 255, out=blended)


def _rescaling(blend: _Blend, size: tuple[int, int], covered: BoolArray | None, rescale: Rescale) -> _Scale:
    """Return the scale that brings the sum's range, where the model saw the image, to 0..255."""
    extremes = [
        (values.min(), values.max())
        for rows in _bands(*size)
        if (values := blend.rows(rows) if covered is None else blend.rows(rows)[covered[rows]]).size
    ]
    if not extremes:
        return _Scale(0, 1)
    lows, highs = zip(*extremes, strict=True)
    low = min(lows) if rescale == "range" else 0
    return _Scale(low, 255 / max(max(highs) - low, 1e-6))


def _bounding_box(covered: BoolArray) -> tuple[slice, slice]:
    """Return the rows and the columns outside of which nothing is covered."""
    lines = [np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(each[0], each[-1] + 1) if each.size else slice(0, 0) for each in lines)
    return rows, columns


def _bands(height: int, width: int) -> Iterator[slice]:
    """Yield bands of rows."""
    step = _band_height(width)
    for top in range(0, height, step):
        yield slice(top, top + step)


def _band_height(width: int) -> int:
    return max(1, BAND_PIXELS // max(width, 1))
