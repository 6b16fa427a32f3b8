"""Images for the where-test, and where the peak of a heatmap lies on them.

An image is a grid of cells of 16 x 16 pixels with noise. One cell has a bright square whose colour is the class of the
image: red, green or blue. Up to three others have squares that say nothing: they are grey or dark. In training there
are images without a bright square too, a class of their own. So nothing but that square can decide for its colour.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CELL = 16
SQUARE = 12
COLOURS = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]], np.float32)
DISTRACTORS = np.array([[0.7, 0.7, 0.7], [-0.7, -0.7, -0.7]], np.float32)
MOST_DISTRACTORS = 3
NOISE = 0.4

CLASSES = len(COLOURS) + 1
"""The colours, and that of images without a bright square."""

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


def draw_squares(count: int, grid: Grid, seed: int, *, for_training: bool = False) -> Squares:
    """Return images whose squares are in random cells, each class as often as the others.

    Args:
        count: How many images.
        grid: The cells of each.
        seed: Of the random numbers.
        for_training: Whether there are images without a bright square, too.
    """
    random = np.random.default_rng(seed)
    rows, columns = grid
    images = random.normal(0, NOISE, (count, rows * CELL, columns * CELL, 3)).astype(np.float32)
    classes = random.permutation(np.arange(count) % (CLASSES if for_training else len(COLOURS)))
    cells = np.zeros((count, 2), np.int64)
    for image, kind, cell in zip(images, classes, cells, strict=True):
        places = _add_squares(image, COLOURS[kind : kind + 1], grid, random)
        cell[:] = places[0] if len(places) else 0
    return Squares(images, classes, cells)


def draw_pairs(count: int, grid: Grid, seed: int) -> Squares:
    """Return images with two bright squares of different colours, besides grey and dark ones.

    Args:
        count: How many images.
        grid: The cells of each.
        seed: Of the random numbers.

    Returns:
        Images, with the classes of both squares (N, 2), and their cells (N, 2, 2).
    """
    random = np.random.default_rng(seed)
    rows, columns = grid
    images = random.normal(0, NOISE, (count, rows * CELL, columns * CELL, 3)).astype(np.float32)
    classes = np.stack([random.permutation(len(COLOURS))[:2] for _ in range(count)])
    cells = [
        _add_squares(image, COLOURS[kinds], grid, random)[:2] for image, kinds in zip(images, classes, strict=True)
    ]
    return Squares(images, classes, np.stack(cells))


def _add_squares(
    image: NDArray[np.float32], colours: NDArray[np.float32], grid: Grid, random: np.random.Generator
) -> NDArray[np.int64]:
    """Add squares of these colours and some others to an image, each in a cell of its own; return their cells."""
    distractors = DISTRACTORS[random.integers(len(DISTRACTORS), size=random.integers(MOST_DISTRACTORS + 1))]
    colours = np.concatenate([colours, distractors])
    places = random.permutation(grid[0] * grid[1])[: len(colours)]
    cells = np.stack(np.divmod(places, grid[1]), axis=1)
    for cell, colour in zip(cells, colours, strict=True):
        top, left = CELL * cell + random.integers(0, CELL - SQUARE + 1, 2)
        image[top : top + SQUARE, left : left + SQUARE] += colour
    return cells


def higher_on_own(heatmaps: NDArray[np.floating], cells: NDArray[np.int64], grid: Grid) -> NDArray[np.bool_]:
    """Return whether the heatmap of each of two squares' classes is higher in its own square's cell than in the other.

    Args:
        heatmaps: (N, 2, rows, columns), of any resolution.
        cells: (N, 2, 2), row and column of each square.
        grid: The number of cells of an image.

    Returns:
        (N, 2); False where both are the same.
    """
    rows, columns = (
        (np.arange(count * CELL) * size) // (count * CELL) for count, size in zip(grid, heatmaps.shape[2:], strict=True)
    )
    pixels = heatmaps[:, :, rows[:, None], columns]  # of the size of the image, without interpolation
    means = pixels.reshape(*heatmaps.shape[:2], grid[0], CELL, grid[1], CELL).mean(axis=(3, 5))
    images = np.arange(len(cells))[:, None, None]
    found = means[images, np.arange(2)[:, None], cells[:, None, :, 0], cells[:, None, :, 1]]  # by class, and by square
    return np.stack([found[:, 0, 0] > found[:, 0, 1], found[:, 1, 1] > found[:, 1, 0]], axis=1)


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
