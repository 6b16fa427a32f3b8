"""The where-test: its images, where a peak is counted, and one model that is trained and explained."""

import numpy as np
import pytest
from benchmarks.where_images import CELL, draw_squares, peaks_on_squares

import seewhy
from benchmarks import where, where_torch


def test_the_square_is_in_its_cell_and_has_the_colour_of_its_class():
    squares = draw_squares(30, (4, 6), seed=0)
    assert squares.images.shape == (30, 4 * CELL, 6 * CELL, 3)
    assert np.bincount(squares.classes).tolist() == [10, 10, 10]
    for image, kind, cell in zip(*squares, strict=True):
        cells = image.reshape(4, CELL, 6, CELL, 3).mean(axis=(1, 3))
        colour = (3 * cells[..., kind] - cells.sum(axis=-1)).reshape(-1)  # 0 of a grey square
        assert divmod(int(colour.argmax()), 6) == tuple(cell)


@pytest.mark.parametrize("sizes", [(4, 6), (8, 12), (64, 96), (3, 3)])
def test_a_peak_is_in_the_cell_of_the_centre_of_its_position(sizes):
    """Of each resolution, the last position lies in the last cell; of 3 x 3, the middle one in cell (2, 3)."""
    heatmaps = np.zeros((3, *sizes))
    heatmaps[0, -1, -1] = heatmaps[1, 0, 0] = 1
    assert peaks_on_squares(heatmaps, np.array([[3, 5], [0, 1], [0, 0]]), (4, 6)).tolist() == [True, False, False]
    middle = np.zeros((1, 3, 3))
    middle[0, 1, 1] = 1
    assert peaks_on_squares(middle, np.array([[2, 3]]), (4, 6)).all()


def test_the_default_finds_the_square_in_a_model_with_residual_branches():
    grid = where.ARCHITECTURES["convnext"].grid
    model, squares = where_torch.train("convnext", grid, steps=100), draw_squares(40, grid, seed=3)
    inputs = where_torch.to_inputs(squares.images)
    assert where.share(model, inputs, squares, grid, where.DEFAULT) >= 0.95
    heatmaps = seewhy.Explainer(model).heatmaps(inputs, [[int(kind)] for kind in squares.classes]).values[:, 0]
    assert peaks_on_squares(heatmaps[:, ::-1, ::-1], squares.cells, grid).mean() < 0.2


def test_what_misses_its_goal_and_what_is_poor_is_named():
    found = {"cnn": {where.DEFAULT: 0.94, "saliency": 0.4}, "swin": {where.DEFAULT: "refused", "saliency": 0.6}}
    assert list(where.misses({"torch": found})) == [
        "PyTorch, CNN: 0.94; the goal is 0.95",
        "PyTorch, shifted windows: refused; the goal is 0.85",
    ]
    assert where.poor_rows(found) == [{"method": "saliency", "less than 50% for": "CNN"}]
