"""Placing heatmaps with any number of axes on the grid of a recording.

The geometry is that of `images.geometry`: coordinates are edges, a grid of n cells spans 0..n, and values hold at the
centres of cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seewhy.interpolation import SparseWeights, Upsampling, sparse_weights
from seewhy.representation import ShortRepr
from seewhy.types import BoolArray, FloatArray


@dataclass(frozen=True, repr=False)
class GridPlacement(ShortRepr):
    """Where heatmaps lie on a recording.

    Attributes:
        size: The size of the recording: its slices, rows and columns; its samples; or its frames, rows and columns.
        extents: The edges (start, stop) between which the heatmaps lie on each axis, in those units. They may be
            fractional, and lie outside of the recording where the input was padded.
    """

    size: tuple[int, ...]
    extents: tuple[tuple[float, float], ...]

    def place(self, maps: FloatArray, upsampling: Upsampling = "bilinear") -> FloatArray:
        """Resize heatmaps to the grid of the recording.

        Args:
            maps: (..., *space) in 0..1, one axis of space for each of the recording's.
            upsampling: How values between the cells' centres are interpolated, along each axis.

        Returns:
            float32 (..., *size) in 0..1, 0 where the model did not see the recording.
        """
        axes, placed = len(self.size), maps
        for axis in range(axes):
            placed = self.along(axis, placed, placed.ndim - axes + axis, upsampling)
        return np.clip(placed, 0, 1) if upsampling == "bicubic" else placed

    def along(
        self,
        axis: int,
        maps: FloatArray,
        position: int,
        upsampling: Upsampling = "bilinear",
        only: int | None = None,
    ) -> FloatArray:
        """Interpolate maps along one axis of the recording; 0 where the model did not see it.

        Args:
            axis: The axis of the recording.
            maps: Heatmaps.
            position: Which of their axes it is.
            upsampling: How values between the cells' centres are interpolated.
            only: The one slice, frame or sample that is wanted; None for all.
        """
        found = sparse_weights(upsampling, maps.shape[position], self.size[axis], *self.extents[axis])
        wanted = slice(None) if only is None else slice(only, only + 1)
        weights = found.weights[:, wanted] * self.covered(axis)[wanted]
        return SparseWeights(found.cells[:, wanted], weights.astype(np.float32)).apply(maps, position)

    def covered(self, axis: int) -> BoolArray:
        """Return which positions of an axis the model saw, bool (size,)."""
        (start, stop), centres = self.extents[axis], np.arange(self.size[axis]) + 0.5
        return np.asarray((start <= centres) & (centres < stop))


def whole(size: Sequence[int]) -> GridPlacement:
    """Return the placement of heatmaps that cover all of a recording of this size."""
    return GridPlacement(tuple(size), tuple((0.0, float(side)) for side in size))
