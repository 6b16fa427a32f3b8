"""The position of a model's input on its image, and placing heatmaps on the image.

Coordinates are pixel *edges*: an image of height H spans 0..H, and the centre of pixel p is at p + 0.5. A heatmap of u
rows divides the input's height into u equal cells, whose values hold at the cells' centres.
"""

from dataclasses import dataclass, replace

import numpy as np

from seewhy.interpolation import WEIGHTS, Upsampling
from seewhy.representation import ShortRepr
from seewhy.types import BoolArray, FloatArray


@dataclass(frozen=True, repr=False)
class Placement(ShortRepr):
    """The part of an image that the model's input shows.

    Attributes:
        image_size: (H, W) of the image, in pixels.
        box: (top, left, bottom, right) of the input on the image, in pixels; may be fractional, and may extend beyond
            the image where the input was padded.
    """

    image_size: tuple[int, int]
    box: tuple[float, float, float, float]

    def place(self, maps: FloatArray, upsampling: Upsampling = "bilinear") -> FloatArray:
        """Resize heatmaps to the input and place them on the image.

        Args:
            maps: (..., u, v) in 0..1, covering the input.
            upsampling: How values between the cells' centres are interpolated.

        Returns:
            float32 (..., H, W) in 0..1. Bilinear and nearest interpolation cannot overshoot; bicubic results are
            clipped. Pixels whose centre lies outside `box` are 0: the model did not see them.
        """
        (height, width), (top, left, bottom, right) = self.image_size, self.box
        weights = WEIGHTS[upsampling]
        rows = weights(maps.shape[-2], height, top, bottom) * _is_inside(top, bottom, height)[:, None]
        columns = weights(maps.shape[-1], width, left, right) * _is_inside(left, right, width)[:, None]
        placed = np.asarray(rows @ maps @ columns.T, dtype=np.float32)
        return np.clip(placed, 0, 1) if upsampling == "bicubic" else placed

    def resized(self, height: int, width: int) -> "Placement":
        """Return the placement on a copy of the image of another size, in pixels."""
        scales = (height / self.image_size[0], width / self.image_size[1]) * 2
        top, left, bottom, right = (edge * scale for edge, scale in zip(self.box, scales, strict=True))
        return replace(self, image_size=(height, width), box=(top, left, bottom, right))

    @property
    def covered(self) -> BoolArray:
        """(H, W): True where the model saw the image."""
        (height, width), (top, left, bottom, right) = self.image_size, self.box
        return _is_inside(top, bottom, height)[:, None] & _is_inside(left, right, width)[None, :]


def _is_inside(start: float, stop: float, pixels: int) -> BoolArray:
    """Return which pixels' centres lie in start..stop along one axis."""
    centres = np.arange(pixels) + 0.5
    return (start <= centres) & (centres < stop)
