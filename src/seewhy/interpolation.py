"""Resizing maps along any number of axes: interpolation weights for one axis, applied to each axis in turn.

Coordinates are edges, not centres: a map of `cells` values divides its extent into equal cells, and each value holds
at the centre of its cell.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.matrix_products import product
from seewhy.types import FloatArray

Upsampling = Literal["bilinear", "bicubic", "nearest"]

Extents = Sequence[tuple[float, float]]
"""Where a map begins and ends along each axis, as shares of the result's size: (0, 1) for all of it."""


def resize(maps: FloatArray, size: Sequence[int], extents: Extents | None = None) -> FloatArray:
    """Resize maps bilinearly along their last axes.

    Args:
        maps: (..., *space).
        size: The new number of cells along each axis of space.
        extents: Where the maps lie in the result; beyond them, the outermost values hold. None for all of it.

    Returns:
        (..., *size).
    """
    space = maps.shape[maps.ndim - len(size) :]
    extents = extents or [(0.0, 1.0)] * len(size)
    return interpolate(
        maps,
        [
            bilinear_weights(old, new, start * new, stop * new)
            for old, new, (start, stop) in zip(space, size, extents, strict=True)
        ],
    )


def resample(maps: FloatArray, size: Sequence[int]) -> FloatArray:
    """Resize maps along their last axes: along an axis that gets fewer cells by averaging, along others bilinearly.

    Args:
        maps: (..., *space).
        size: The new number of cells along each axis of space.

    Returns:
        (..., *size).
    """
    space = maps.shape[maps.ndim - len(size) :]
    return interpolate(
        maps,
        [
            area_weights(old, new) if new < old else bilinear_weights(old, new)
            for old, new in zip(space, size, strict=True)
        ],
    )


def interpolate(maps: FloatArray, weights: Sequence[FloatArray]) -> FloatArray:
    """Apply interpolation weights along the last axes of maps.

    Args:
        maps: (..., *space).
        weights: One matrix (pixels, cells) for each axis of space.

    Returns:
        The maps, with `pixels` values along each axis that had `cells`.
    """
    for axis, matrix in enumerate(weights, start=maps.ndim - len(weights)):
        moved = np.moveaxis(maps, axis, 0)
        resized = product(matrix, moved.reshape(len(moved), -1)).reshape(len(matrix), *moved.shape[1:])
        maps = np.moveaxis(resized, 0, axis)
    return maps


def bilinear_weights(cells: int, pixels: int, start: float = 0.0, stop: float | None = None) -> FloatArray:
    """Return the weights of bilinear interpolation along one axis.

    Beyond the centres of the outermost cells, the outermost values hold.

    Args:
        cells: How many values the map has along the axis.
        pixels: How many pixels the result has along the axis.
        start: The edge, in pixels, at which the map begins; it may lie outside 0..pixels.
        stop: The edge, in pixels, at which the map ends; None for `pixels`.

    Returns:
        float32 (pixels, cells): the weight of each cell at each pixel's centre; every row sums to 1.
    """
    position = np.clip(_cell_positions(cells, pixels, start, stop), 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))), dtype=np.float32)


def area_weights(cells: int, pixels: int) -> FloatArray:
    """Return the share of each pixel that each cell covers along one axis, float32 (pixels, cells)."""
    cell, pixel = np.arange(cells) / cells, np.arange(pixels)[:, None] / pixels
    covered = np.minimum(cell + 1 / cells, pixel + 1 / pixels) - np.maximum(cell, pixel)
    return np.asarray(np.maximum(covered, 0) * pixels, dtype=np.float32)


def bicubic_weights(cells: int, pixels: int, start: float = 0.0, stop: float | None = None) -> FloatArray:
    """Return the weights of cubic convolution (Keys, 1981, a = -1/2); the arguments are those of `bilinear_weights`.

    Of the four cells nearest to a pixel, those beyond the border are left out and the rest renormalized, as in
    Pillow's BICUBIC.
    """
    weights = _cubic(np.abs(_cell_positions(cells, pixels, start, stop)[:, None] - np.arange(cells)))
    total = weights.sum(axis=1, keepdims=True)  # 0 only for pixels far outside the map
    return np.asarray(weights / np.where(total == 0, 1, total), dtype=np.float32)


def nearest_weights(cells: int, pixels: int, start: float = 0.0, stop: float | None = None) -> FloatArray:
    """Return 1 for the cell that contains each pixel's centre, else 0; arguments as in `bilinear_weights`."""
    # Not np.round, which rounds halves to even: for pixels midway between cells it would skip every other cell.
    cell = np.clip(np.floor(_cell_positions(cells, pixels, start, stop) + 0.5), 0, cells - 1)
    return np.asarray(cell[:, None] == np.arange(cells), dtype=np.float32)


WEIGHTS: dict[Upsampling, Callable[[int, int, float, float], FloatArray]] = {
    "bilinear": bilinear_weights,
    "bicubic": bicubic_weights,
    "nearest": nearest_weights,
}


class SparseWeights(NamedTuple):
    """The cells that each pixel along an axis is interpolated from. For long axes, a matrix would not fit into memory.

    Attributes:
        cells: (k, pixels), the number of a cell.
        weights: float32 (k, pixels), its weight; those of a pixel sum to 1.
    """

    cells: NDArray[np.intp]
    weights: FloatArray

    def apply(self, maps: FloatArray, axis: int) -> FloatArray:
        """Interpolate maps along one of their axes."""
        shape = [1] * maps.ndim
        shape[axis] = -1
        terms = (
            np.take(maps, cells, axis=axis) * weights.reshape(shape)
            for cells, weights in zip(self.cells, self.weights, strict=True)
        )
        total: FloatArray = functools.reduce(np.add, terms)
        return total


def sparse_weights(upsampling: Upsampling, cells: int, pixels: int, start: float, stop: float) -> SparseWeights:
    """Return the weights that the functions in `WEIGHTS` return for the same arguments."""
    position = _cell_positions(cells, pixels, start, stop)
    if upsampling == "nearest":
        return _clamped_weights(np.floor(position + 0.5)[None], np.ones((1, pixels)), cells)
    if upsampling == "bilinear":
        position = np.clip(position, 0, cells - 1)
        near = np.floor(position) + np.arange(2)[:, None]
        return _clamped_weights(near, np.maximum(0, 1 - np.abs(position - near)), cells)
    near = np.floor(position) + np.arange(-1, 3)[:, None]
    return _inner_weights(near, _cubic(np.abs(position - near)), cells)


def averaging_weights(cells: int, pixels: int) -> SparseWeights:
    """Return the weights of linear interpolation that averages where it shrinks, as Pillow's BILINEAR.

    The weights fall off linearly over the width of a pixel, or of a cell where that is larger: nothing between the
    pixels is skipped.

    Args:
        cells: How many values there are.
        pixels: How many the result has.
    """
    position, support = _cell_positions(cells, pixels, 0.0, None), max(1.0, cells / pixels)
    reach = math.ceil(support)
    near = np.floor(position) + np.arange(-reach, reach + 2)[:, None]
    return _inner_weights(near, np.maximum(0, 1 - np.abs(position - near) / support), cells)


def _clamped_weights(near: NDArray[Any], weights: NDArray[np.float64], cells: int) -> SparseWeights:
    """Return weights in which a cell beyond the border is replaced by the one at the border."""
    return SparseWeights(np.clip(near, 0, cells - 1).astype(np.intp), np.asarray(weights, dtype=np.float32))


def _inner_weights(near: NDArray[Any], weights: NDArray[np.float64], cells: int) -> SparseWeights:
    """Return weights without cells beyond the border, scaled to sum to 1 again."""
    weights = np.where((near < 0) | (near >= cells), 0, weights)
    total = weights.sum(axis=0)  # 0 only for pixels far outside the map
    return _clamped_weights(near, weights / np.where(total == 0, 1, total), cells)


def _cell_positions(cells: int, pixels: int, start: float, stop: float | None) -> NDArray[np.float64]:
    """Return the position of each pixel's centre in cells: the centre of cell i is at i."""
    stop = pixels if stop is None else stop
    return np.asarray((np.arange(pixels) + 0.5 - start) / (stop - start) * cells - 0.5, dtype=np.float64)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the kernel of cubic convolution (Keys, 1981, a = -1/2) at a distance in cells."""
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.asarray(np.where(distance < 1, near, np.where(distance < 2, far, 0)))
