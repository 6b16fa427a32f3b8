import sys

import matplotlib
import numpy as np
import pytest
import typer

from seewhy import Style
from seewhy.cli.app import app
from seewhy.errors import OptionError
from seewhy.images.colour import COLORMAPS, _color_table, color_table, colorize
from seewhy.images.default_style import DEFAULT_ALPHA, DEFAULT_COLORMAP
from seewhy.images.geometry import Placement
from seewhy.images.overlay import heatmap_image, overlay, placed_overlay

IMAGE = np.full((1, 3, 3), 100, dtype=np.uint8)
HEATMAP = np.array([[0, 0.5, 1]], dtype=np.float32)
ALL = np.ones((1, 3), dtype=bool)


def test_colours_are_matplotlib_s():
    for name in (*COLORMAPS, "Blues"):  # those that are kept as tables, and one that matplotlib makes
        colors = matplotlib.colormaps[name](np.arange(256))[:, :3]
        np.testing.assert_array_equal(color_table(name), np.round(colors * 255), err_msg=name)
    np.testing.assert_array_equal(colorize(HEATMAP, "viridis")[0], color_table("viridis")[[0, 128, 255]])


def test_colours_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    _color_table.cache_clear()
    assert color_table("jet_r")[0].tolist() == [128, 0, 0]
    with pytest.raises(OptionError, match=r"Unknown colour map 'grey'. Did you mean 'gray'.* install .*\[figures\]'"):
        color_table("grey")


def test_blending_by_hand():
    jet = color_table("jet").astype(int)
    found = overlay(IMAGE, HEATMAP, ALL, Style(alpha=0.25, colormap="jet"))
    np.testing.assert_array_equal(found[0, 0], np.round(75 + 0.25 * jet[0]))
    np.testing.assert_array_equal(found[0, 2], np.round(75 + 0.25 * jet[255]))


def test_the_ends_of_alpha():
    np.testing.assert_array_equal(overlay(IMAGE, HEATMAP, ALL, Style(alpha=0)), IMAGE)
    np.testing.assert_array_equal(overlay(IMAGE, HEATMAP, ALL, Style(alpha=1)), colorize(HEATMAP, DEFAULT_COLORMAP))


def test_the_image_is_unchanged_where_the_model_did_not_see_it():
    covered = np.array([[True, False, True]])
    found = overlay(IMAGE, HEATMAP, covered, Style(alpha=1))
    np.testing.assert_array_equal(found[0, 1], IMAGE[0, 1])
    assert (found[0, 0] != IMAGE[0, 0]).any()
    np.testing.assert_array_equal(heatmap_image(HEATMAP, covered, "gray")[0, 1], [255, 255, 255])


def test_an_image_of_full_weight_is_clipped_at_white():
    jet = color_table("jet").astype(int)
    light = np.full((1, 3, 3), 250, dtype=np.uint8)
    found = overlay(light, HEATMAP, ALL, Style(alpha=0.4, image_weight=1, colormap="jet"))
    np.testing.assert_array_equal(found[0, 2], np.minimum(np.round(250 + 0.4 * jet[255]), 255))
    assert found.max() == 255


@pytest.mark.parametrize("rescale", ["max", "range"])
def test_the_sum_is_rescaled_by_its_range_where_the_model_saw_the_image(rescale):
    image = np.array([[[10, 20, 30], [200, 200, 200], [255, 255, 255]]], dtype=np.uint8)
    covered = np.array([[True, True, False]])
    jet = color_table("jet").astype(np.float64)
    total = image[0, :2] + 0.01 * jet[[0, 128]]
    low = total.min() if rescale == "range" else 0
    expected = np.round((total - low) / (total.max() - low) * 255)
    found = overlay(image, HEATMAP, covered, Style(alpha=0.01, image_weight=1, colormap="jet", rescale=rescale))
    np.testing.assert_allclose(found[0, :2], expected, atol=1)  # float32 rounds some halves the other way
    np.testing.assert_array_equal(found[0, 2], image[0, 2])


def test_the_digits_notebook_blends_colours_up_to_255_with_an_image_up_to_1():
    jet = color_table("jet")[[0, 128, 255]].astype(np.float64)
    image = np.array([[[0, 0, 0], [128, 128, 128], [255, 255, 255]]], dtype=np.uint8)
    total = jet * 0.01 + image[0] / 255
    expected = np.round((total - total.min()) / (total.max() - total.min()) * 255)
    found = overlay(image, HEATMAP, ALL, Style(alpha=1, image_weight=1 / 2.55, colormap="jet", rescale="range"))
    np.testing.assert_allclose(found[0], expected, atol=1)


def test_a_constant_sum_is_rescaled_without_dividing_by_zero():
    black = np.zeros((1, 3, 3), dtype=np.uint8)
    for rescale in ("max", "range"):
        assert overlay(black, HEATMAP, ALL, Style(alpha=0, rescale=rescale)).max() == 0


@pytest.mark.parametrize("name", ["alpha", "image_weight"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "x", True, [0.5]])
def test_a_weight_out_of_range(name, value):
    with pytest.raises(OptionError, match=f"{name} is .*expected a number from 0"):
        Style(**{name: value})


@pytest.mark.parametrize("name", ["normalization", "upsampling", "rescale"])
@pytest.mark.parametrize("value", ["maximum", None, 1, ["max"], np.array(["max", "none"])])
def test_an_unknown_name(name, value):
    with pytest.raises(OptionError, match=f"{name} is .*expected '.*' or '.*'"):
        Style(**{name: value})


@pytest.mark.parametrize("colormap", [None, 1, ["jet"], np.array("jet")])
def test_a_colour_map_that_is_not_a_name(colormap):
    with pytest.raises(OptionError, match=r"colormap is .*; expected the name of one of matplotlib's"):
        color_table(colormap)


def test_an_unknown_colour_map_with_a_suggestion():
    with pytest.raises(OptionError, match=r"Unknown colour map 'viridsi'. Did you mean 'viridis'"):
        colorize(HEATMAP, "viridsi")


def test_by_default_it_is_half_the_image_and_half_viridis():
    """The same in the library and on the command line."""
    expected = 0.5 * IMAGE[0] + 0.5 * color_table("viridis")[[0, 128, 255]].astype(float)
    np.testing.assert_allclose(overlay(IMAGE, HEATMAP, ALL, Style())[0], expected, atol=0.51)
    assert (Style().alpha, Style().colormap) == (DEFAULT_ALPHA, DEFAULT_COLORMAP)
    command = typer.main.get_command(app).commands["explain"]
    options = {parameter.name: parameter.default for parameter in command.params}
    assert (options["alpha"], options["colormap"]) == (DEFAULT_ALPHA, DEFAULT_COLORMAP)


@pytest.mark.parametrize("shape", [(7, 9), (70, 900), (2, 40_000)], ids=["one band", "two bands", "a row a band"])
def test_only_what_is_covered_is_blended_whatever_its_form(shape):
    """Half of the pixels at random, whose bounding box is smaller than the image, in one band of rows or in several."""
    generator = np.random.default_rng(0)
    image, heatmap = generator.integers(0, 256, (*shape, 3), np.uint8), generator.random(shape, np.float32)
    covered = generator.random(shape) < 0.5
    covered[0], covered[:, -2:] = False, False
    colours = color_table("viridis")[np.rint(heatmap * 255).astype(int)]
    expected = np.rint(image / 2 + colours / 2)  # halves are exact in any precision
    np.testing.assert_array_equal(
        overlay(image, heatmap, covered, Style()), np.where(covered[..., None], expected, image)
    )


BOXES = {
    "a crop": (3.0, 20.0, 290.0, 307.0),
    "beyond the image": (-50.0, 0.0, 350.0, 400.0),
    "fractions": (10.4, 7.5, 200.6, 390.49),
    "nothing": (-20.0, 0.0, -10.0, 400.0),
}


@pytest.mark.parametrize("rescale", ["none", "max", "range"])
@pytest.mark.parametrize("upsampling", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_heatmap_placed_in_bands_is_drawn_as_one_that_is_placed_whole(box, upsampling, rescale):
    """In five bands of rows; matrix products of other sizes may be rounded otherwise."""
    generator = np.random.default_rng(0)
    image, heatmap = generator.integers(0, 256, (300, 400, 3), np.uint8), generator.random((7, 5), np.float32)
    placement, style = Placement((300, 400), box, (0.1, 0.0, 0.9, 1.1)), Style(upsampling=upsampling, rescale=rescale)
    expected = overlay(image, placement.place(heatmap, upsampling), placement.covered, style)
    found = placed_overlay(image, heatmap, placement, style)
    np.testing.assert_allclose(found.astype(int), expected, atol=1)
    assert (found != expected).mean() < 0.001
    np.testing.assert_array_equal((found != image).any(), placement.covered.any())
