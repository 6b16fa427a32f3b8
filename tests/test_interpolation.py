"""The one bilinear resize, against interpolation in loops, by hand, and against placed heatmaps."""

from typing import get_args

import numpy as np
import pytest

from seewhy import Placement
from seewhy.interpolation import (
    WEIGHTS,
    Upsampling,
    bilinear_weights,
    interpolate,
    resample,
    resize,
    sparse_weights,
)
from tests.methods.by_hand import interpolated_at


def test_a_signal_by_hand():
    """Two cells on four pixels: the pixels' centres lie at -1/4, 1/4, 3/4 and 5/4 cells."""
    np.testing.assert_array_equal(resize(np.array([0, 8], np.float32), (4,)), [0, 2, 6, 8])


@pytest.mark.parametrize(
    ("space", "size"), [((3,), (7,)), ((3, 2), (8, 5)), ((2, 3, 1), (5, 4, 3)), ((6, 4), (3, 2)), ((2, 3), (2, 3))]
)
def test_every_axis_as_in_loops(space, size):
    values = np.random.default_rng(0).normal(size=space).astype(np.float32)
    found = resize(values, size)
    expected = np.empty(size)
    for pixel in np.ndindex(size):
        at = values
        for p, cells, pixels in zip(pixel, space, size, strict=True):
            at = interpolated_at(at, (p + 0.5) * cells / pixels - 0.5, cells)
        expected[pixel] = at
    assert found.shape == size
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_only_the_last_axes_are_resized():
    maps = np.random.default_rng(2).normal(size=(3, 2, 4, 5)).astype(np.float32)
    found = resize(maps, (6, 9))
    assert found.shape == (3, 2, 6, 9)
    for image, target in np.ndindex(3, 2):
        np.testing.assert_allclose(found[image, target], resize(maps[image, target], (6, 9)), atol=1e-6)


def test_a_resized_heatmap_is_a_heatmap_placed_on_the_whole_image():
    maps = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    placed = Placement((9, 10), (0, 0, 9, 10)).place(maps[None])[0]
    np.testing.assert_allclose(resize(maps, (9, 10)), placed, atol=1e-6)


@pytest.mark.parametrize("start", [0, 0.0])
@pytest.mark.parametrize("stop", [None, 10, 10.0])
def test_the_default_extent_is_all_pixels(start, stop):
    for weights in WEIGHTS.values():
        np.testing.assert_array_equal(weights(3, 10, start, stop), weights(3, 10))
    methods_formula = np.clip((np.arange(10) + 0.5) / 10 * 3 - 0.5, 0, 2)
    expected = np.maximum(0, 1 - np.abs(methods_formula[:, None] - np.arange(3))).astype(np.float32)
    np.testing.assert_array_equal(bilinear_weights(3, 10, start, stop), expected)


def test_an_extent_is_a_shift():
    """A map from pixel 2 to pixel 6 of 8: its weights inside are those of a map on 4 pixels."""
    inside = bilinear_weights(2, 8, 2, 6)[2:6]
    np.testing.assert_array_equal(inside, bilinear_weights(2, 4))
    np.testing.assert_array_equal(bilinear_weights(2, 8, 2, 6)[[0, 7]], [[1, 0], [0, 1]])


def test_weights_are_cropped_by_their_rows():
    """RISE crops a mask by taking some of the weights' rows."""
    mask, weights = np.array([1, 0, 1], np.float32), bilinear_weights(3, 12)
    np.testing.assert_array_equal(interpolate(mask, [weights[2:9]]), interpolate(mask, [weights])[2:9])


def test_cells_are_averaged_where_there_get_fewer():
    """Six cells on four: the first new cell covers all of the first old one and half of the second."""
    values = np.array([[6, 0, 3, 3, 0, 12]], np.float32)
    np.testing.assert_allclose(resample(values, (1, 4)), [[4, 2, 2, 8]], rtol=1e-6)
    np.testing.assert_allclose(resample(values, (2, 6)), np.repeat(values, 2, axis=0), rtol=1e-6)


@pytest.mark.parametrize("upsampling", get_args(Upsampling))
@pytest.mark.parametrize("edges", [(0.0, 12.0), (-1.5, 9.25), (3.0, 40.0)])
def test_sparse_weights_are_the_weights_without_zeros(upsampling, edges):
    maps = np.random.default_rng(0).random((2, 5, 3), dtype=np.float32)
    found = sparse_weights(upsampling, 5, 12, *edges)
    np.testing.assert_allclose(found.apply(maps, 1), WEIGHTS[upsampling](5, 12, *edges) @ maps, atol=1e-6)
