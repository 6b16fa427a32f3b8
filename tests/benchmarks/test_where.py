"""The where-test: its images, where a peak is counted, and models of both frameworks."""

import keras
import numpy as np
import pytest
import torch
from benchmarks.where_images import CELL, draw_pairs, draw_squares, higher_on_own, peaks_on_squares

import seewhy
from benchmarks import where, where_keras, where_torch

GRID = (4, 6)


def test_the_square_is_in_its_cell_and_has_the_colour_of_its_class():
    squares = draw_squares(30, GRID, seed=0)
    assert squares.images.shape == (30, 4 * CELL, 6 * CELL, 3)
    assert np.bincount(squares.classes).tolist() == [10, 10, 10]
    for image, kind, cell in zip(*squares, strict=True):
        cells = image.reshape(4, CELL, 6, CELL, 3).mean(axis=(1, 3))
        colour = (3 * cells[..., kind] - cells.sum(axis=-1)).reshape(-1)  # 0 of a grey square
        assert divmod(int(colour.argmax()), 6) == tuple(cell)


def test_two_squares_have_two_colours_and_two_cells():
    pairs = draw_pairs(20, GRID, seed=0)
    assert (pairs.classes[:, 0] != pairs.classes[:, 1]).all()
    for image, kinds, cells in zip(*pairs, strict=True):
        means = image.reshape(4, CELL, 6, CELL, 3).mean(axis=(1, 3))
        for kind, cell in zip(kinds, cells, strict=True):
            colour = (3 * means[..., kind] - means.sum(axis=-1)).reshape(-1)
            assert divmod(int(colour.argmax()), 6) == tuple(cell)


@pytest.mark.parametrize("scale", [1, 2, 16])
def test_a_heatmap_is_higher_on_its_own_square(scale):
    cells = np.array([[[3, 5], [0, 2]]] * 3)
    heatmaps = np.zeros((3, 2, 4 * scale, 6 * scale))
    heatmaps[0, 0, -1, -1] = heatmaps[0, 1, 0, 2 * scale] = 1  # each on its own
    heatmaps[1, :, -1, -1] = 1  # the same for both; and in the last image nothing
    assert higher_on_own(heatmaps, cells, GRID).tolist() == [[True, True], [True, False], [False, False]]


@pytest.mark.parametrize("sizes", [(4, 6), (8, 12), (64, 96), (3, 3)])
def test_a_peak_is_in_the_cell_of_the_centre_of_its_position(sizes):
    """Of each resolution, the last position lies in the last cell; of 3 x 3, the middle one in cell (2, 3)."""
    heatmaps = np.zeros((3, *sizes))
    heatmaps[0, -1, -1] = heatmaps[1, 0, 0] = 1
    assert peaks_on_squares(heatmaps, np.array([[3, 5], [3, 0], [0, 0]]), GRID).tolist() == [True, False, False]
    middle = np.zeros((1, 3, 3))
    middle[0, 1, 1] = 1
    assert peaks_on_squares(middle, np.array([[2, 3]]), GRID).all()


def test_a_method_that_finds_the_square_gets_all_and_another_few():
    """Each channel of this model is how much more of a colour a patch has: nothing but the square has a score."""
    patches = torch.nn.Conv2d(3, 3, 8, 8, bias=False)
    with torch.no_grad():
        patches.weight[:] = (3 * torch.eye(3) - 1)[..., None, None] / 64
    model = torch.nn.Sequential(patches, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    squares = draw_squares(60, GRID, seed=3)
    inputs = where_torch.to_inputs(squares.images)
    assert where.shares(model, inputs, squares, "vit-registers", ["gradcam", "eigencam"])["gradcam"] == 1
    heatmaps = seewhy.Explainer(model).heatmaps(inputs, [[int(kind)] for kind in squares.classes]).values[:, 0]
    assert peaks_on_squares(heatmaps[:, ::-1, ::-1], squares.cells, GRID).mean() < 0.2


def test_the_models_of_both_frameworks_compute_the_same():
    torch.manual_seed(0)
    squares = draw_squares(2, GRID, seed=3)
    for name in ("convnext", "vit-registers"):
        model = where_torch.MODELS[name](GRID).eval()
        arrays = [array.detach().numpy() for array in where_torch.weight_arrays(model)]
        with torch.no_grad():
            scores = model(torch.tensor(where_torch.to_inputs(squares.images))).numpy()
        same = where_keras.build(name, GRID, arrays)(squares.images)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(same), scores, atol=1e-5)


def test_what_misses_its_goal_and_what_is_poor_is_named():
    found = {
        "cnn": {where.DEFAULT: 0.94, "saliency": 0.4},
        "vit-mean-2": {where.DEFAULT: 1.0, "saliency": 0.1},
        "swin": {where.DEFAULT: "refused", "saliency": 0.6},
    }
    assert list(where.misses({"torch": found})) == [
        "PyTorch, CNN: 0.94; the goal is 0.95",
        "PyTorch, shifted windows: refused; the goal is 0.85",
    ]
    assert where.poor_rows(found) == [{"method": "saliency", "less than 50% for": "CNN; ViT, mean, 2 blocks"}]
