import numpy as np
import pytest
from PIL import Image

from seewhy import Placement


def test_cells_hold_at_their_centres_and_are_interpolated_between():
    placement = Placement(image_size=(1, 4), box=(0, 0, 1, 4))
    # Two cells over four pixels: cell centres at 1 and 3, pixel centres at 0.5, 1.5, 2.5, 3.5.
    np.testing.assert_allclose(placement.place(np.array([[[0, 8]]], np.float32)), [[[0, 2, 6, 8]]])


def test_rows_are_not_columns():
    placement = Placement(image_size=(2, 3), box=(0, 0, 2, 3))
    maps = np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)
    np.testing.assert_allclose(placement.place(maps), maps)


def test_a_crop_is_placed_and_zero_outside():
    placement = Placement(image_size=(4, 6), box=(1, 2, 3, 4))
    placed = placement.place(np.array([[[1, 2], [3, 4]]], np.float32))[0]
    expected = np.zeros((4, 6))
    expected[1:3, 2:4] = [[1, 2], [3, 4]]
    np.testing.assert_allclose(placed, expected)
    np.testing.assert_array_equal(placement.covered, expected > 0)


def test_an_input_that_extends_beyond_the_image():
    """A padded (letter-boxed) input: the cells over the padding are dropped."""
    placement = Placement(image_size=(2, 4), box=(-1, 0, 3, 4))
    maps = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_allclose(placement.place(maps)[0], maps[0, 1:3])
    assert placement.covered.all()


def test_fractional_edges_decide_by_pixel_centres():
    placement = Placement(image_size=(1, 4), box=(0, 0.6, 1, 3.5))
    np.testing.assert_array_equal(placement.covered, [[False, True, True, False]])


@pytest.mark.parametrize("size", [(1, 1), (13, 7), (300, 451)])
def test_bilinear_never_overshoots_and_keeps_constants(size):
    placement = Placement(size, (0, 0, *map(float, size)))
    maps = np.random.default_rng(0).normal(size=(2, 7, 7)).astype(np.float32)
    placed = placement.place(maps)
    assert placed.shape == (2, *size)
    assert (placed.max(axis=(1, 2)) <= maps.max(axis=(1, 2)) + 1e-6).all()
    assert (placed.min(axis=(1, 2)) >= maps.min(axis=(1, 2)) - 1e-6).all()
    np.testing.assert_allclose(placement.place(np.full((1, 7, 7), 3, np.float32)), 3, rtol=1e-6)


def test_enlarging_by_whole_factors_agrees_with_pillow():
    from PIL import Image

    heatmap = np.random.default_rng(1).random((7, 5)).astype(np.float32)
    placed = Placement((140, 100), (0, 0, 140, 100)).place(heatmap[None])[0]
    theirs = Image.fromarray(heatmap).resize((100, 140), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(placed, np.asarray(theirs), atol=1e-6)


@pytest.mark.parametrize(("upsampling", "pillow"), [("bicubic", "BICUBIC"), ("bilinear", "BILINEAR")])
def test_enlarging_agrees_with_pillow(upsampling, pillow):
    maps = np.random.default_rng(0).uniform(0.3, 0.7, (5, 7)).astype(np.float32)  # so that nothing is clipped
    expected = np.asarray(Image.fromarray(maps).resize((61, 40), Image.Resampling[pillow]))
    placed = Placement((40, 61), (0, 0, 40, 61)).place(maps, upsampling)
    np.testing.assert_allclose(placed, expected, atol=1e-5)


def test_bicubic_is_clipped_where_it_overshoots():
    placement = Placement((1, 12), (0, 0, 1, 12))
    placed = placement.place(np.array([[0, 0, 1, 1, 0, 0]], np.float32), "bicubic")
    assert placed.min() == 0
    assert placed.max() == 1


def test_nearest_shows_the_cells():
    placement = Placement((2, 6), (0, 1, 2, 5))
    placed = placement.place(np.array([[0.25, 1]], np.float32), "nearest")
    np.testing.assert_array_equal(placed, [[0, 0.25, 0.25, 1, 1, 0]] * 2)


def test_nearest_skips_no_cell_where_pixels_lie_between_cells():
    maps = np.arange(6, dtype=np.float32)[None] / 5
    placed = Placement((1, 6), (0, 0.5, 1, 6.5)).place(maps, "nearest")
    np.testing.assert_allclose(placed[0, 1:] * 5, [1, 2, 3, 4, 5], atol=1e-6)
