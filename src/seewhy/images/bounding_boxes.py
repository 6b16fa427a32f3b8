"""Bounding boxes of the connected components of a mask."""

import numpy as np
from numpy.typing import NDArray

from seewhy.types import BoolArray

BoundingBox = tuple[int, int, int, int]
"""(top, left, bottom, right), pixel edges: the box contains `image[top:bottom, left:right]`."""


def bounding_boxes(mask: BoolArray) -> list[BoundingBox]:
    """Return the bounding box of each connected component of a mask, the largest component first.

    Pixels that touch at an edge or a corner are connected (8-connectivity).

    Args:
        mask: bool (H, W).

    Returns:
        (top, left, bottom, right) for each component, in pixels; an empty list if the mask is all False.
    """
    starts, stops, rows = _runs(mask)
    labels, component = np.unique(_component_labels(starts, stops, rows), return_inverse=True)
    boxes = np.zeros((len(labels), 4), dtype=np.intp)
    boxes[:, :2] = max(mask.shape)
    for edge, (extremum, values) in enumerate(
        ((np.minimum, rows), (np.minimum, starts), (np.maximum, rows + 1), (np.maximum, stops))
    ):
        extremum.at(boxes[:, edge], component, values)
    pixels = np.bincount(component, weights=stops - starts, minlength=len(labels))
    ordered = boxes[np.argsort(-pixels, kind="stable")].tolist()
    return [(top, left, bottom, right) for top, left, bottom, right in ordered]


def _runs(mask: BoolArray) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the runs of True in each row, top to bottom: their start columns, stop columns and rows."""
    width = mask.shape[1] + 1  # a column of False after each row, so that every run ends in its row
    padded = np.zeros((mask.shape[0], width), dtype=np.bool_)
    padded[:, :-1] = mask
    flat = np.concatenate([[False], padded.reshape(-1)])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    starts, stops = changes[::2], changes[1::2]
    rows = starts // width
    return starts - rows * width, stops - rows * width, rows


def _component_labels(starts: NDArray[np.intp], stops: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Label each run with its component, named by the component's first run, by union-find."""
    parent = list(range(len(rows)))
    firsts, lasts, lines = starts.tolist(), stops.tolist(), rows.tolist()  # Python's numbers are quicker one by one

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    above = 0
    for run, row in enumerate(lines):
        # Skip the runs of the row above that end left of this one; runs that touch at a corner are connected.
        while lines[above] < row - 1 or (lines[above] == row - 1 and lasts[above] < firsts[run]):
            above += 1
        other = above
        while lines[other] == row - 1 and firsts[other] <= lasts[run]:
            one, another = root(other), root(run)
            parent[max(one, another)] = min(one, another)
            other += 1
    return np.array([root(run) for run in range(len(lines))], dtype=np.intp)
