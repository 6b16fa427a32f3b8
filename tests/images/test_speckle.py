import numpy as np
import pytest

from seewhy.images.bounding_boxes import bounding_boxes
from seewhy.images.speckle import SIGMA, smooth_regions


def test_a_point_becomes_a_gaussian():
    heatmap = np.zeros((50, 100), np.float32)
    heatmap[25, 50] = 7
    smoothed = smooth_regions(heatmap)
    down, right = np.arange(-6, 7), np.arange(-12, 13)
    expected = np.exp(-0.5 * (down / (SIGMA * 50)) ** 2)[:, None] * np.exp(-0.5 * (right / (SIGMA * 100)) ** 2)
    np.testing.assert_allclose(smoothed[19:32, 38:63], expected, atol=1e-5)


def test_the_level_of_the_background_is_subtracted():
    """A constant keeps its value, also at the border; more than half of the cells have it."""
    heatmap = np.full((40, 40), 3, np.float32)
    assert not smooth_regions(heatmap).any()
    heatmap[:10] = 5
    smoothed = smooth_regions(heatmap)
    np.testing.assert_allclose(smoothed[0], 1, atol=1e-3)  # half of what lies within 10 rows is at most 4 deviations
    np.testing.assert_allclose(smoothed[20:], 0, atol=1e-3)


@pytest.mark.parametrize("density", [0.15, 0.3])
@pytest.mark.parametrize("background", [0.0, 0.1])
def test_specks_in_a_square_have_its_box(density, background):
    """Before, the largest connected component was one speck, or everything."""
    random, square = np.random.default_rng(0), np.zeros((96, 96), bool)
    square[30:60, 40:76] = True
    specks = (random.random(square.shape) < density) * square
    heatmap = (specks + background * random.random(square.shape)).astype(np.float32)
    box = bounding_boxes(smooth_regions(heatmap) >= 0.5)[0]
    np.testing.assert_allclose(box, (30, 40, 60, 76), atol=4)
    before = bounding_boxes(heatmap >= 0.15)[0]
    assert abs((before[2] - before[0]) - 30) > 8
