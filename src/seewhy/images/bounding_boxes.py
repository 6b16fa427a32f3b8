"""Connected parts of a mask, and the boxes round them."""

import numpy as np
from numpy.typing import NDArray

from seewhy.types import BoolArray

BoundingBox = tuple[int, int, int, int]
"""(top, left, bottom, right), the edges in pixels: `image[top:bottom, left:right]` is what the box holds."""


def bounding_boxes(mask: BoolArray) -> list[BoundingBox]:
    """Return the box round each connected part of a mask (H, W), that of the part with the most pixels first.

    Pixels that touch at an edge or at a corner are connected (8-connectivity).
    """
    starts, stops, rows = _runs(mask)
    parts, part = np.unique(_connected(starts, stops, rows), return_inverse=True)
    boxes = np.zeros((len(parts), 4), dtype=np.intp)
    boxes[:, :2] = max(mask.shape)
    for edge, (reach, values) in enumerate(
        ((np.minimum, rows), (np.minimum, starts), (np.maximum, rows + 1), (np.maximum, stops))
    ):
        reach.at(boxes[:, edge], part, values)
    pixels = np.bincount(part, weights=stops - starts, minlength=len(parts))
    ordered = boxes[np.argsort(-pixels, kind="stable")].tolist()
    return [(top, left, bottom, right) for top, left, bottom, right in ordered]


def _runs(mask: BoolArray) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the stretches of True in each row, top to bottom: where they start, where they stop, and their rows."""
    changes = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(changes == 1)
    return starts, np.nonzero(changes == -1)[1], rows


def _connected(starts: NDArray[np.intp], stops: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the part that each run belongs to, named by its first run: runs that touch in two rows are joined."""
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    above = 0
    for run, row in enumerate(rows):
        # Of the row before, skip the runs that end before this one begins; a corner that touches is no gap.
        while rows[above] < row - 1 or (rows[above] == row - 1 and stops[above] < starts[run]):
            above += 1
        other = above
        while rows[other] == row - 1 and starts[other] <= stops[run]:
            one, two = sorted((root(other), root(run)))
            parent[two] = one
            other += 1
    return np.array([root(run) for run in range(len(rows))], dtype=np.intp)
