"""Bounding boxes of the connected components of a mask."""

from collections.abc import Iterable

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
    """Label each run with its component, named by the component's first run, by union-find.

    Most runs touch one run of the row above. Those chains are followed in NumPy, all at once; what joins two chains is
    few, and is joined one by one.
    """
    width = int(stops.max(initial=0)) + 2
    above = (rows - 1) * width
    # The runs of the row above from `first` to before `last` touch a run, at corners too.
    first = np.searchsorted(rows * width + stops, above + starts, side="left")
    last = np.searchsorted(rows * width + starts, above + stops, side="right")
    own = np.arange(len(rows))
    labels = np.where(first < last, first, own)
    while not np.array_equal(labels, further := labels[labels]):
        labels = further
    joined = np.flatnonzero(last - first > 1)
    if len(joined):
        pairs = ((run, other) for run in joined.tolist() for other in range(int(first[run]) + 1, int(last[run])))
        labels = _join(labels, pairs)
    return np.asarray(labels)


def _join(labels: NDArray[np.intp], pairs: Iterable[tuple[int, int]]) -> NDArray[np.intp]:
    """Return labels in which the components of each pair of runs are one."""
    parent = dict(zip(roots := np.unique(labels).tolist(), roots, strict=True))

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    names = labels.tolist()
    for run, other in pairs:
        one, another = root(names[run]), root(names[other])
        parent[max(one, another)] = min(one, another)
    renamed = np.arange(len(labels))
    renamed[roots] = [root(label) for label in roots]
    return np.asarray(renamed[labels])
