"""Where a network's input lies on the picture it was cut from, and how a map finds its way back.

Coordinates are pixel *edges*: a picture of height H spans 0..H, and the centre of pixel p is at p + 0.5. A map
of u rows divides the input's height into u equal cells, whose values hold at the cells' centres.
"""

from dataclasses import dataclass

import numpy as np

from seewhy.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Placement:
    """The part of one picture that a network's input shows.

    Attributes:
        image_size: (H, W) of the picture, in pixels.
        box: (top, left, bottom, right) of the input on the picture, in pixels; may be fractional, and may reach
            beyond the picture where it was padded.
    """

    image_size: tuple[int, int]
    box: tuple[float, float, float, float]

    def place(self, maps: FloatArray) -> FloatArray:
        """Bring maps onto the picture, bilinearly.

        Args:
            maps: (T, u, v), or with more axes before, covering the input.

        Returns:
            (T, H, W). Every value is a convex combination of the map's, so nothing overshoots. Pixels whose centre
            lies outside `box` are 0: about them nothing is claimed.
        """
        (height, width), (top, left, bottom, right) = self.image_size, self.box
        rows = bilinear_weights(maps.shape[-2], top, bottom, height) * _inside(top, bottom, height)[:, None]
        columns = bilinear_weights(maps.shape[-1], left, right, width) * _inside(left, right, width)[:, None]
        return np.asarray(rows @ maps @ columns.T, dtype=np.float32)

    @property
    def covered(self) -> BoolArray:
        """(H, W): True where the network saw the picture."""
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
    centres = np.arange(pixels) + 0.5
    position = (centres - start) / (stop - start) * cells - 0.5  # in cells: cell i has its centre at i
    position = np.clip(position, 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))), dtype=np.float32)


def _inside(start: float, stop: float, pixels: int) -> BoolArray:
    centres = np.arange(pixels) + 0.5
    return (start <= centres) & (centres < stop)
