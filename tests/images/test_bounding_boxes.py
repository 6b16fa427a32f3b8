import numpy as np
import pytest

from seewhy.images.bounding_boxes import bounding_boxes


def image(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


@pytest.mark.parametrize(
    ("mask", "boxes"),
    [
        (image("....", "...."), []),
        (image("....", ".##.", "...."), [(1, 1, 2, 3)]),
        (image("##..", "..##"), [(0, 0, 2, 4)]),  # they touch at a corner
        (image("##...", "...##"), [(0, 0, 1, 2), (1, 3, 2, 5)]),  # they do not
        (image("..##", "##.."), [(0, 0, 2, 4)]),
        (image("...##", "##..."), [(0, 3, 1, 5), (1, 0, 2, 2)]),
        (image("#...", "....", "..##"), [(2, 2, 3, 4), (0, 0, 1, 1)]),  # the largest first
        (image("#...#", "#.#.#", "#####"), [(0, 0, 3, 5)]),  # joined only at the bottom
        (image("#####", "#...#", "#.#.#", "#...#", "#####"), [(0, 0, 5, 5), (2, 2, 3, 3)]),  # one in the other
        (np.ones((3, 2), bool), [(0, 0, 3, 2)]),
    ],
)
def test_boxes_of_connected_components(mask, boxes):
    assert bounding_boxes(mask) == boxes
    mirrored = [(top, mask.shape[1] - right, bottom, mask.shape[1] - left) for top, left, bottom, right in boxes]
    assert sorted(bounding_boxes(mask[:, ::-1])) == sorted(mirrored)


def flood_fill(mask):
    """An oracle: from each pixel, walk to all eight neighbours."""
    left, boxes = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}, []
    while left:
        pending, component = [left.pop()], []
        while pending:
            row, column = pending.pop()
            component.append((row, column))
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            pending += around
        rows, columns = zip(*component, strict=True)
        boxes.append((min(rows), min(columns), max(rows) + 1, max(columns) + 1))
    return boxes


@pytest.mark.parametrize("density", [0.1, 0.3, 0.45, 0.7])
def test_random_masks_against_a_flood_fill(density):
    random = np.random.default_rng(0)
    for _ in range(40):
        mask = random.random(random.integers(1, 14, 2)) < density
        assert sorted(bounding_boxes(mask)) == sorted(flood_fill(mask))
