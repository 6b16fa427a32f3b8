"""Affines: from the position of a voxel's centre to its place in mm, x to the right, y to the front, z upwards.

Positions are those of centres: voxel 0 is at 0, and its edges at -0.5 and 0.5.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import RecordingError
from seewhy.representation import one_line
from seewhy.types import DoubleArray

SIDES = (1e-6, 1e6)
"""The sides of the smallest and of the largest voxel, in mm."""

FLAT = 1e-6
"""The volume of a voxel, as a share of that of a cuboid with its sides, from which on it counts as flat."""

PLANES = ("sagittal", "coronal", "axial")
"""The slices across x, y and z."""

Extents = Sequence[tuple[float, float]]
"""The edges between which heatmaps lie on each axis of a grid, in its cells: (0, 40) for all of 40 slices."""


def check_affine(affine: Any, source: str | None = None) -> DoubleArray:
    """Return an affine as float64 (4, 4).

    Args:
        affine: The affine.
        source: The path that its volume was read from, which the error names.

    Raises:
        RecordingError: It is not of that shape, not finite, or maps the volume to a plane; or its voxels are smaller
            than a nanometre or larger than a kilometre.
    """
    try:
        array = np.asarray(affine, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    is_affine = array.shape == (4, 4) and np.isfinite(array).all() and np.array_equal(array[3], (0, 0, 0, 1))
    if not is_affine or not _has_volume(array):
        of = "" if source is None else f" of {source}"
        raise RecordingError(
            f"The affine{of} is {one_line(np.array2string(array, separator=', '))}; expected an invertible matrix of "
            "shape (4, 4) in mm, whose last row is 0, 0, 0, 1."
        )
    return array


def _has_volume(affine: DoubleArray) -> bool:
    """Whether voxels have a size, and do not all lie in one plane."""
    with np.errstate(over="ignore"):
        sides = np.linalg.norm(affine[:3, :3], axis=0)
    is_sized = bool((SIDES[0] < sides).all() and (sides < SIDES[1]).all())
    return is_sized and abs(float(np.linalg.det(affine[:3, :3] / sides))) > FLAT


def spacing_of_affine(affine: DoubleArray) -> tuple[float, float, float]:
    """Return the distances between neighbouring voxels along each axis, in mm."""
    first, second, third = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return first, second, third


def affine_of_spacing(spacing: Sequence[float]) -> DoubleArray:
    """Return the affine of voxels at these distances, with the first one at 0."""
    return np.diag([*spacing, 1.0])


def affine_of_map(affine: DoubleArray, extents: Extents, cells: Sequence[int]) -> DoubleArray:
    """Return the affine of a map of another resolution that lies on a volume.

    Cell i of n cells between the edges a and b has its centre at a + (i + 0.5) (b - a) / n of the volume's edges, and
    so at half a voxel less of the positions of its centres.

    Args:
        affine: That of the volume.
        extents: Where the map lies on each axis of the volume.
        cells: The number of the map's cells along each axis.
    """
    sizes = [(stop - start) / count for (start, stop), count in zip(extents, cells, strict=True)]
    to_volume = np.diag([*sizes, 1.0])
    to_volume[:3, 3] = [start + size / 2 - 0.5 for (start, _), size in zip(extents, sizes, strict=True)]
    return affine @ to_volume


class SliceLayout(NamedTuple):
    """How a slice is drawn: its two axes, and which of them are mirrored.

    Attributes:
        rows: The axis of the volume that is drawn downwards.
        columns: The axis that is drawn to the right.
        flip_rows: Whether the last row is drawn first.
        flip_columns: Whether the last column is drawn first.
    """

    rows: int
    columns: int
    flip_rows: bool = False
    flip_columns: bool = False


def slice_layout(affine: DoubleArray | None, axis: int) -> SliceLayout:
    """Return how slices across an axis are drawn.

    With an affine, as radiologists look at them: the head or the front is up, and the patient's left, or the back, is
    at the right. Without one, the axes are drawn in their order.
    """
    first, second = (other for other in range(3) if other != axis)
    if affine is None:
        return SliceLayout(first, second)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    world = _world_axes(directions)
    rows, columns = (first, second) if world[first] > world[second] else (second, first)
    down, right = directions[world[rows], rows], directions[world[columns], columns]
    return SliceLayout(rows, columns, bool(down > 0), bool(right > 0))


def plane_name(affine: DoubleArray | None, axis: int) -> str:
    """Return what slices across an axis are called; without an affine, "axis 0"."""
    if affine is None:
        return f"axis {axis}"
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return PLANES[_world_axes(directions)[axis]]


def _world_axes(directions: DoubleArray) -> list[int]:
    """Return the axis of the world, x, y or z, that each axis of a volume follows most closely; each one once."""
    strengths, found = np.abs(directions).copy(), [-1, -1, -1]
    for _ in range(3):
        world, axis = np.unravel_index(int(strengths.argmax()), strengths.shape)
        found[int(axis)] = int(world)
        strengths[world, :] = strengths[:, axis] = -1
    return found
