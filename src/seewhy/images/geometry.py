"""The position of a model's input on its image, and placing heatmaps on the image.

Coordinates are pixel *edges*: an image of height H spans 0..H, and the centre of pixel p is at p + 0.5. A heatmap of u
rows divides the input's height into u equal cells, whose values hold at the cells' centres.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from seewhy.interpolation import WEIGHTS, Upsampling
from seewhy.matrix_products import product
from seewhy.representation import ShortRepr
from seewhy.types import BoolArray, FloatArray

InputBox = tuple[float, float, float, float]
"""(top, left, bottom, right) of heatmaps on the model's input, as shares of its height and width."""

WHOLE: InputBox = (0.0, 0.0, 1.0, 1.0)
"""The heatmaps show all of the input."""


@dataclass(frozen=True, repr=False)
class Placement(ShortRepr):
    """The part of an image that the model's input shows, and the part of that input that the heatmaps show.

    Attributes:
        image_size: (H, W) of the image, in pixels.
        box: (top, left, bottom, right) of the input on the image, in pixels; may be fractional, and may extend beyond
            the image where the input was padded.
        input_box: (top, left, bottom, right) of the heatmaps on the input, as shares of its height and width. It lies
            inside 0..1 where the model itself crops its input, and extends beyond where the model pads it.
    """

    image_size: tuple[int, int]
    box: tuple[float, float, float, float]
    input_box: InputBox = WHOLE

    def place(self, maps: FloatArray, upsampling: Upsampling = "bilinear") -> FloatArray:
        """Resize heatmaps to the input and place them on the image.

        Args:
            maps: (..., u, v) in 0..1, covering `heatmap_box`.
            upsampling: How values between the cells' centres are interpolated.

        Returns:
            float32 (..., H, W) in 0..1. Bilinear and nearest interpolation cannot overshoot; bicubic results are
            clipped. Pixels that are not `covered` are 0: the model did not see them.
        """
        (height, width), (top, left, bottom, right) = self.image_size, self.heatmap_box
        weights, (covered_rows, covered_columns) = WEIGHTS[upsampling], self._covered_lines()
        rows = weights(maps.shape[-2], height, top, bottom) * covered_rows[:, None]
        columns = weights(maps.shape[-1], width, left, right) * covered_columns[:, None]
        placed = np.asarray(product(product(rows, maps), columns.T), dtype=np.float32)
        return np.clip(placed, 0, 1) if upsampling == "bicubic" else placed

    def covered_rows(self, heatmap: FloatArray, upsampling: Upsampling = "bilinear") -> Callable[[slice], FloatArray]:
        """Return a function that places a heatmap (u, v) as `place` does: some rows of `covered_box` at a time."""
        (height, width), (top, left, bottom, right) = self.image_size, self.heatmap_box
        weights, (seen_rows, seen_columns) = WEIGHTS[upsampling], self.covered_box
        rows = weights(heatmap.shape[0], height, top, bottom)[seen_rows]
        columns = weights(heatmap.shape[1], width, left, right)[seen_columns]

        def place(band: slice) -> FloatArray:
            placed = np.asarray(product(rows[band] @ heatmap, columns.T), dtype=np.float32)
            return np.clip(placed, 0, 1, out=placed) if upsampling == "bicubic" else placed

        return place

    def resized(self, height: int, width: int) -> "Placement":
        """Return the placement on a copy of the image of another size, in pixels."""
        scales = (height / self.image_size[0], width / self.image_size[1]) * 2
        top, left, bottom, right = (edge * scale for edge, scale in zip(self.box, scales, strict=True))
        return replace(self, image_size=(height, width), box=(top, left, bottom, right))

    @property
    def covered(self) -> BoolArray:
        """(H, W): True where the model saw the image."""
        rows, columns = self._covered_lines()
        return rows[:, None] & columns[None, :]

    @property
    def covered_box(self) -> tuple[slice, slice]:
        """The rows and the columns of the image that the model saw; both are empty if it saw nothing."""
        rows, columns = (np.flatnonzero(lines) for lines in self._covered_lines())
        if not (rows.size and columns.size):
            return slice(0, 0), slice(0, 0)
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    @property
    def heatmap_box(self) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) of the heatmaps on the image, in pixels."""
        if self.input_box == WHOLE:
            return self.box
        (top, left, bottom, right), (first, start, last, stop) = self.box, self.input_box
        height, width = bottom - top, right - left
        return (top + first * height, left + start * width, top + last * height, left + stop * width)

    def with_input_box(self, input_box: InputBox) -> "Placement":
        """Return the placement for heatmaps that show this part of the input."""
        return self if input_box == WHOLE else replace(self, input_box=input_box)

    def _covered_lines(self) -> tuple[BoolArray, BoolArray]:
        """Return which rows (H,) and columns (W,) are in both the input and the heatmaps."""
        (height, width), boxes = self.image_size, (self.box, self.heatmap_box)
        rows = [_is_inside(top, bottom, height) for top, _, bottom, _ in boxes]
        columns = [_is_inside(left, right, width) for _, left, _, right in boxes]
        return rows[0] & rows[1], columns[0] & columns[1]


def _is_inside(start: float, stop: float, pixels: int) -> BoolArray:
    """Return which pixels' centres lie in start..stop along one axis."""
    centres = np.arange(pixels) + 0.5
    return (start <= centres) & (centres < stop)
