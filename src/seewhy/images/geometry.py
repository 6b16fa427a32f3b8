"""Where a model's input lies on the image it was cut from, and how a map finds its way back.

Coordinates are pixel *edges*: an image of height H spans 0..H, and the centre of pixel p is at p + 0.5. A map
of u rows divides the input's height into u equal cells, whose values hold at the cells' centres.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.types import BoolArray, FloatArray

Upsampling = Literal["bilinear", "bicubic", "nearest"]


@dataclass(frozen=True)
class Placement:
    """The part of one image that a model's input shows.

    Attributes:
        image_size: (H, W) of the image, in pixels.
        box: (top, left, bottom, right) of the input on the image, in pixels; may be fractional, and may reach
            beyond the image where it was padded.
    """

    image_size: tuple[int, int]
    box: tuple[float, float, float, float]

    def place(self, maps: FloatArray, upsampling: Upsampling = "bilinear") -> FloatArray:
        """Bring maps onto the image.

        Args:
            maps: (T, u, v) in 0..1, or with more axes before, covering the input.
            upsampling: How the values between the cells' centres are found.

        Returns:
            (T, H, W) in 0..1. Bilinear and nearest values are convex combinations of the map's, so nothing overshoots;
            bicubic ones are cut off. Pixels whose centre lies outside `box` are 0: about them nothing is claimed.
        """
        (height, width), (top, left, bottom, right) = self.image_size, self.box
        weights = WEIGHTS[upsampling]
        rows = weights(maps.shape[-2], top, bottom, height) * _inside(top, bottom, height)[:, None]
        columns = weights(maps.shape[-1], left, right, width) * _inside(left, right, width)[:, None]
        placed = np.asarray(rows @ maps @ columns.T, dtype=np.float32)
        return np.clip(placed, 0, 1) if upsampling == "bicubic" else placed

    @property
    def covered(self) -> BoolArray:
        """(H, W): True where the model saw the image."""
        (height, width), (top, left, bottom, right) = self.image_size, self.box
        return _inside(top, bottom, height)[:, None] & _inside(left, right, width)[None, :]


def resize(maps: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """Bring maps (N, T, *space) to another number of cells on the same extent, bilinearly in every axis of space."""
    for axis, cells in enumerate(size, start=2):
        weights = bilinear_weights(maps.shape[axis], 0, cells, cells)
        maps = np.moveaxis(np.tensordot(weights, maps, axes=(1, axis)), 0, axis)
    return maps


def bilinear_weights(cells: int, start: float, stop: float, pixels: int) -> FloatArray:
    """Return (pixels, cells): how much each of the cells that fill start..stop counts at each pixel's centre.

    Beyond the outermost centres the outermost values hold.
    """
    position = np.clip(_positions(cells, start, stop, pixels), 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))), dtype=np.float32)


def bicubic_weights(cells: int, start: float, stop: float, pixels: int) -> FloatArray:
    """Return (pixels, cells) as `bilinear_weights` does, of the cubic convolution of Keys (1981) with a = -1/2.

    Of the four cells about a pixel, those beyond the border do not count, as in Pillow's BICUBIC.
    """
    distance = np.abs(_positions(cells, start, stop, pixels)[:, None] - np.arange(cells))
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    total = weights.sum(axis=1, keepdims=True)  # 0 only for pixels outside, about which nothing is claimed
    return np.asarray(weights / np.where(total == 0, 1, total), dtype=np.float32)


def nearest_weights(cells: int, start: float, stop: float, pixels: int) -> FloatArray:
    """Return (pixels, cells) as `bilinear_weights` does, with 1 for the cell that each pixel's centre lies in."""
    # Not np.round, which takes halves to even cells: of pixels that lie between cells, it leaves out every other cell.
    cell = np.clip(np.floor(_positions(cells, start, stop, pixels) + 0.5), 0, cells - 1)
    return np.asarray(cell[:, None] == np.arange(cells), dtype=np.float32)


WEIGHTS: dict[Upsampling, Callable[[int, float, float, int], FloatArray]] = {
    "bilinear": bilinear_weights,
    "bicubic": bicubic_weights,
    "nearest": nearest_weights,
}


def _positions(cells: int, start: float, stop: float, pixels: int) -> NDArray[np.float64]:
    """Return where each pixel's centre lies among the cells that fill start..stop: cell i has its centre at i."""
    return np.asarray((np.arange(pixels) + 0.5 - start) / (stop - start) * cells - 0.5, dtype=np.float64)


def _inside(start: float, stop: float, pixels: int) -> BoolArray:
    centres = np.arange(pixels) + 0.5
    return (start <= centres) & (centres < stop)
