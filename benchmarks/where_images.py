"""Images for the where-test, and where the peak of a heatmap lies on them.

An image is a grid of cells of 16 x 16 pixels with noise. One cell has a bright square whose colour is the class of the
image: red, green or blue. Three others have squares that say nothing: they are grey or dark.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CELL = 16
SQUARE = 12
COLOURS = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]], np.float32)
DISTRACTORS = np.array([[0.7, 0.7, 0.7], [-0.7, -0.7, -0.7], [0.7, 0.7, 0.7]], np.float32)
NOISE = 0.2

Grid = tuple[int, int]
"""How many cells an image has: rows and columns."""


class Squares(NamedTuple):
    """Images with a bright square.

    Attributes:
        images: float32 (N, h, w, 3).
        classes: int64 (N,), the colour of each square.
        cells: int64 (N, 2), the row and column of its cell.
    """

    images: NDArray[np.float32]
    classes: NDArray[np.int64]
    cells: NDArray[np.int64]


def draw_squares(count: int, grid: Grid, seed: int) -> Squares:
    """Return images whose squares are in random cells, each class as often as the others."""
    random = np.random.default_rng(seed)
    rows, columns = grid
    images = random.normal(0, NOISE, (count, rows * CELL, columns * CELL, 3)).astype(np.float32)
    classes = random.permutation(np.arange(count) % len(COLOURS))
    cells = np.zeros((count, 2), np.int64)
    for image, kind, cell in zip(images, classes, cells, strict=True):
        places = random.permutation(rows * columns)[: len(DISTRACTORS) + 1]
        cell[:] = divmod(int(places[0]), columns)
        for place, colour in zip(places, (COLOURS[kind], *DISTRACTORS), strict=True):
            row, column = divmod(int(place), columns)
            top, left = CELL * np.array([row, column]) + random.integers(0, CELL - SQUARE + 1, 2)
            image[top : top + SQUARE, left : left + SQUARE] += colour
    return Squares(images, classes, cells)


def peaks_on_squares(heatmaps: NDArray[np.floating], cells: NDArray[np.int64], grid: Grid) -> NDArray[np.bool_]:
    """Return whether each heatmap's peak lies in the cell of the square; False for one without positive values.

    Args:
        heatmaps: (N, rows, columns), of any resolution.
        cells: (N, 2), row and column.
        grid: The number of cells of an image.
    """
    count, *sizes = heatmaps.shape
    flat = heatmaps.reshape(count, -1)
    positions = np.stack(np.unravel_index(flat.argmax(axis=1), sizes), axis=1)
    found = (positions + 0.5) * np.array(grid) // np.array(sizes)  # the cell of the centre of the position
    return np.asarray((found == cells).all(axis=1) & (flat.max(axis=1) > 0))
