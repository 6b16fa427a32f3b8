import base64
import io
import json
import os
import re
import sys
import types
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from seewhy import Explanation, Placement, Prediction, Style, TargetResult
from seewhy.errors import OptionError, OutputError

IMAGE = np.full((4, 6, 3), 100, np.uint8)


def explanation(**changes):
    """Return an explanation of two targets; nothing speaks for the second. The model saw the middle 4 x 4."""
    values = {
        "image": IMAGE,
        "heatmaps": np.array([[[0, 1], [2, 4]], [[0, 0], [0, 0]]], np.float32),
        "targets": (TargetResult(3, "cat", 2.5, 0.75, True), TargetResult(-1, "target 1", -1.0, None, False)),
        "predictions": tuple(Prediction(index, f"name {index}", 0.5 / (index + 1)) for index in range(8)),
        "layer": "conv",
        "method": "gradcam",
        "title": "Grad-CAM",
        "placement": Placement((4, 6), (0, 1, 4, 5)),
        "ids": tuple(f"n{index}" for index in range(8)),
        "source": "cat.png",
        "model": "lite",
    }
    return Explanation(**{**values, **changes})


def one_target(**changes):
    whole = explanation()
    return explanation(**{"heatmaps": whole.heatmaps[:1], "targets": whole.targets[:1], **changes})


def test_saliency_is_each_map_by_its_own_maximum_on_the_image():
    heatmap = explanation().normalized_heatmaps
    assert heatmap.shape == (2, 4, 6)
    np.testing.assert_allclose(heatmap[0, [0, 0, 3, 3], [1, 4, 1, 4]], [0, 0.25, 0.5, 1])
    np.testing.assert_array_equal(heatmap[0, :, [0, 5]], 0)
    np.testing.assert_array_equal(heatmap[1], 0)


def test_each_map_is_scaled_by_its_own_maximum():
    both = explanation(heatmaps=np.array([[[0, 1], [2, 4]], [[0, 0], [0.5, 0.25]]], np.float32))
    assert both.normalized_heatmaps.max(axis=(1, 2)).tolist() == [1, 1]


def test_where_a_target_is():
    """On the image the map's cells are two pixels wide, in columns 1 to 4; between their centres it is linear."""
    rows = [[0, 0, 0.0625, 0.1875, 0.25, 0], [0, 0.125, 0.203125, 0.359375, 0.4375, 0]]
    rows += [[0, 0.375, 0.484375, 0.703125, 0.8125, 0], [0, 0.5, 0.625, 0.875, 1, 0]]
    np.testing.assert_allclose(explanation().normalized_heatmaps[0], rows)
    for threshold in (0, 0.15, 0.5, 0.9, 1):
        expected = (np.array(rows) > 0) & (np.array(rows) >= threshold)
        np.testing.assert_array_equal(explanation().mask(threshold), expected)
    assert explanation().mask(0.15).sum() == 13
    assert explanation().boxes() == [(0, 1, 4, 5)]
    assert explanation().boxes(0.5) == [(2, 1, 4, 5)]
    assert explanation().boxes(1) == [(3, 4, 4, 5)]


def test_where_nothing_speaks_for_a_target_it_is_nowhere():
    for threshold in (0, 0.15, 1):
        assert not explanation().mask(threshold, target=1).any()
        assert explanation().boxes(threshold, target=1) == []


def test_the_largest_part_is_the_first_box():
    apart = np.array([[[8, 0, 0, 3], [0, 0, 0, 0], [0, 0, 5, 5], [0, 0, 0, 0]]], np.float32)
    found = one_target(placement=Placement((4, 6), (0, 1, 4, 5)))
    found = explanation(heatmaps=apart, targets=found.targets)
    assert found.boxes() == [(2, 3, 3, 5), (0, 1, 1, 2), (0, 4, 1, 5)]
    assert found.boxes(0.6) == [(2, 3, 3, 5), (0, 1, 1, 2)]


def test_boxes_of_gradients_by_pixels_are_those_of_smoothed_regions():
    """The peak is the brightest of many specks in a square, on a background that is not empty."""
    random = np.random.default_rng(0)
    heatmap = (0.05 * random.random((60, 60))).astype(np.float32)
    heatmap[10:30, 20:50] += random.random((20, 30)) < 0.2
    whole = Placement((120, 180), (0, 0, 120, 180))
    options = {"image": np.zeros((120, 180, 3), np.uint8), "placement": whole}
    found = replace(explanation(), heatmaps=np.stack([heatmap] * 2), peak_quantile=0.995, **options)
    np.testing.assert_allclose(found.boxes()[0], (20, 60, 60, 150), atol=9)  # three cells
    assert found.boxes(0.5) == found.boxes()
    (top, left, bottom, right), *_ = found.boxes(0.2)
    assert top < 20 < 60 < bottom
    assert left < 60 < 150 < right
    by_layer = replace(found, peak_quantile=1.0)
    assert by_layer.boxes() == by_layer.boxes(0.15)
    assert len(by_layer.boxes()) > 20


def test_names_may_hold_anything(tmp_path):
    """A dollar sign is no formula; a file name that is no UTF-8 is still written as JSON."""
    maps, target = explanation().heatmaps[:1], TargetResult(3, "$a_{ $", 2.5, 0.75, True)
    odd = explanation(heatmaps=maps, targets=(target,), source="photo\udcff.png")
    odd.save(tmp_path / "odd.json")
    assert json.loads((tmp_path / "odd.json").read_text("utf-8"))["image"] == "photo\udcff.png"
    assert odd.save(tmp_path / "odd.png", "panels").stat().st_size > 1000


def test_even_the_faintest_map_is_scaled_without_overflow():
    faint = one_target(image=IMAGE)
    faint = explanation(heatmaps=faint.heatmaps * np.float32(1e-41), targets=faint.targets)
    assert faint.normalized_heatmaps.max() == pytest.approx(1, rel=0.01)


def test_the_overlay_is_the_image_s_size():
    found = explanation().overlay(0, alpha=0.5, colormap="gray")
    assert found.shape == IMAGE.shape
    assert found[3, 4].tolist() == [178, 178, 178]  # half of 100, half of 255, rounded to even
    assert found[0, 0].tolist() == [100, 100, 100]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_images_are_what_pixels_draws(tmp_path, suffix):
    path = one_target().save(tmp_path / f"overlay{suffix}", alpha=0.5)
    with Image.open(path) as image:
        assert image.format == ("PNG" if suffix == ".png" else "JPEG")
        np.testing.assert_allclose(
            np.asarray(image), one_target().overlay(0, alpha=0.5), atol=0 if suffix == ".png" else 40
        )


def test_the_grid_is_drawn_for_several_targets(tmp_path):
    path = explanation().save(tmp_path / "grid.png")
    with Image.open(path) as image:
        assert image.width > image.height > 300


def test_npz_holds_the_raw_arrays_and_where_they_lie(tmp_path):
    path = explanation().save(tmp_path / "maps.npz")
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["heatmaps"], explanation().heatmaps)
        assert arrays["indices"].tolist() == [3, -1]
        assert arrays["names"].tolist() == ["cat", "target 1"]
        assert arrays["scores"].tolist() == [2.5, -1]
        placement = Placement(tuple(arrays["image_size"].tolist()), tuple(arrays["box"].tolist()))
    assert placement == explanation().placement


def test_json_holds_everything_else(tmp_path):
    path = explanation(source="Ünïcode.png").save(tmp_path / "facts.json")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "image": "Ünïcode.png",
        "predictions": [
            {"index": index, "wnid": f"n{index}", "name": f"name {index}", "probability": 0.5 / (index + 1)}
            for index in range(5)
        ],
        "targets": [
            {"index": 3, "name": "cat", "score": 2.5, "probability": 0.75, "has_evidence": True, "check": ""},
            {"index": -1, "name": "target 1", "score": -1.0, "probability": None, "has_evidence": False, "check": ""},
        ],
        "model": "lite",
        "layer": "conv",
        "method": "gradcam",
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda e, path: e.save(path / "a.tiff"),
            r"Cannot save as '.tiff'; expected .png, .jpg, .jpeg, .svg, .pdf, .gif, .webp, .npz, .json, .html",
        ),
        (lambda e, path: e.save(path / "a"), "Cannot save as 'a file without suffix'"),
        (lambda e, _: e.overlay(2), r"There is no target 2: the explanation has targets 0 to 1 \(cat, target 1\)"),
        (lambda e, _: e.overlay(3), r"Class 3 is target 0\. Give a position or a name\."),
        (
            lambda e, _: e.overlay("dog"),
            r"There is no target 'dog': the explanation has targets 0 to 1 \(cat, target 1\)",
        ),
        (lambda e, _: e.mask(target="cta"), r"There is no target 'cta': .*Did you mean 'cat'\?"),
        (lambda e, _: e.overlay(colorbar=1), "colorbar is 1; expected True or False"),
        (lambda e, _: e.figure("panels", target=-1), "There is no target -1"),
        (lambda e, _: e.figure("mosaic"), "Unknown figure 'mosaic'; expected 'overlay', 'panels', 'grid' or"),
        (lambda e, _: e.overlay(alpha=2), "alpha is 2; expected a number from 0"),
        (lambda e, _: e.figure(colormap="jett"), "Unknown colour map 'jett'. Did you mean 'jet'"),
        (lambda e, _: e.mask(1.5), "threshold is 1.5; expected a number from 0 to 1"),
        (lambda e, _: e.boxes(-0.1), "threshold is -0.1; expected a number from 0 to 1"),
        (lambda e, _: e.boxes(float("nan")), "threshold is nan; expected a number from 0 to 1"),
        (lambda e, _: e.mask("15%"), "threshold is '15%'; expected a number from 0 to 1"),
        (lambda e, _: e.mask(True), "threshold is True; expected a number"),
        (lambda e, _: e.boxes(target=2), "There is no target 2: the explanation has targets 0 to 1"),
    ],
)
def test_what_is_refused(tmp_path, call, message):
    with pytest.raises(OptionError, match=message):
        call(explanation(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        explanation().save(tmp_path / "file" / "a.png")


def test_the_four_panels():
    figure = one_target().figure()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Original", "Raw Grad-CAM", "Normalized Grad-CAM", "Applied Grad-CAM"]
    assert figure.get_suptitle() == "3, cat 75.0%"
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(shown[0], IMAGE)
    np.testing.assert_allclose(shown[1], [[0, 0.25], [0.5, 1]])
    assert shown[2].shape == IMAGE.shape
    np.testing.assert_array_equal(shown[3], one_target().overlay(0))


def test_the_grid_names_every_target_and_says_where_there_is_nothing():
    titles = [axes.get_title() for axes in explanation().figure("grid").axes]
    assert titles == ["3, cat 75.0%", "target 1\n(no evidence)"]


def test_figures_leave_pyplot_alone():
    one_target().pixels("panels")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_notebook_shows_the_image(monkeypatch):
    shown = []
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    this = one_target()
    this.show()
    assert shown == [this]


def test_outside_a_notebook_the_system_s_viewer_does(monkeypatch):
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda image, title: shown.append((image.size, title)))
    one_target().show()
    assert shown == [((6, 4), "cat.png")]


def test_normalised_by_the_range():
    raised = one_target(heatmaps=np.array([[[1, 2], [3, 5]]], np.float32))
    np.testing.assert_allclose(raised.normalize()[0], [[0.2, 0.4], [0.6, 1]])
    np.testing.assert_allclose(raised.normalize("range")[0], [[0, 0.25], [0.5, 1]])
    flat = one_target(heatmaps=np.full((1, 2, 2), 3, np.float32))
    np.testing.assert_array_equal(flat.normalize("range"), 0)
    np.testing.assert_array_equal(flat.normalize(), 1)


def test_a_look_decides_how_a_map_is_placed():
    found = explanation().normalized_heatmap(0, Style(upsampling="nearest"))
    np.testing.assert_array_equal(found[[0, 0, 3, 3], [1, 4, 1, 4]], [0, 0.25, 0.5, 1])
    assert set(np.unique(found)) == {0, 0.25, 0.5, 1}


def test_probabilities_as_bars():
    axes = explanation().figure("probabilities").axes
    assert [each.get_title() for each in axes] == ["Original", "3, cat 75.0%", "Probabilities"]
    bars = axes[2].patches
    assert [bar.get_width() for bar in bars] == [0.5 / (index + 1) for index in range(8)]
    assert [label.get_text() for label in axes[2].get_yticklabels()] == [f"name {index}" for index in range(8)]
    colors = [bar.get_facecolor() for bar in bars]
    assert [color != colors[0] for color in colors] == [False, False, False, True, False, False, False, False]


def test_no_probabilities_no_bars():
    with pytest.raises(OptionError, match="There are no probabilities to draw"):
        explanation(predictions=()).figure("probabilities")


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_goes_through_the_targets(tmp_path, suffix):
    path = explanation().save(tmp_path / f"cat{suffix}", seconds=0.4)
    with Image.open(path) as image:
        assert image.n_frames == 2
        assert image.width > 100


def test_a_normalisation_that_is_not_known():
    with pytest.raises(OptionError, match="normalization is 'rangee'; expected 'max' or 'range'"):
        explanation().normalize("rangee")


def test_a_target_by_a_number_of_numpy():
    np.testing.assert_array_equal(explanation().overlay(np.int64(1)), explanation().overlay(1))
    with pytest.raises(OptionError, match="There is no target True"):
        explanation().overlay(True)


def with_names(**changes):
    """Return the explanation of two targets with all names of the class of the first."""
    return explanation(aliases=(("cat", "n02123045", "house cat", "domestic_cat"), ()), **changes)


@pytest.mark.parametrize(
    "name", ["cat", "CAT", "n02123045", "house_cat", "domestic cat", "House-cat, cat", np.str_("cat")]
)
def test_a_target_by_any_name_of_its_class(name):
    found = with_names()
    assert found.find_target(name) == 0
    np.testing.assert_array_equal(found.overlay(name), found.overlay(0))
    np.testing.assert_array_equal(found.mask(0.5, name), found.mask(0.5, 0))
    assert found.boxes(target=name) == found.boxes(target=0)
    np.testing.assert_array_equal(found.pixels("overlay", target=name), found.pixels("overlay", target=0))


def test_a_target_that_is_not_a_class_by_its_name():
    found = with_names()
    assert found.find_target("target 1") == 1
    np.testing.assert_array_equal(found.overlay("Target_1"), found.overlay(1))


def test_a_name_of_two_targets():
    crane, other = TargetResult(3, "crane", 1.0, 0.5, True), TargetResult(5, "crane", 1.0, 0.5, True)
    with pytest.raises(OptionError, match=r"'crane' is the name of the targets 0, 1\. Give the position of one\."):
        explanation(targets=(crane, other)).overlay("crane")
    by_wnid = explanation(targets=(crane, other), aliases=(("crane", "n1"), ("crane", "n2")))
    assert by_wnid.find_target("n2") == 1
    assert explanation(targets=(crane, crane)).find_target("crane") == 0  # one class, given twice


def test_the_overlay_as_a_figure():
    figure = explanation().figure("overlay", target="cat")
    assert [axes.get_title() for axes in figure.axes] == ["3, cat 75.0%"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), explanation().overlay(0))


@pytest.mark.parametrize(("normalization", "low"), [("max", 0), ("range", 1)])
def test_a_colour_bar_gives_raw_values(normalization, low):
    raised = explanation(heatmaps=np.array([[[1, 2], [3, 5]], [[0, 0], [0, 0]]], np.float32))
    axes = raised.figure("grid", colorbar=True, colormap="inferno", normalization=normalization).axes
    assert len(axes) == 3  # two overlays, and one bar: nothing is evidence for the second target
    assert axes[1].get_ylim() == (low, 5)
    assert raised.color_scale(1) is None
    assert len(raised.figure("grid").axes) == 2


def test_a_colour_bar_ends_at_the_value_that_is_drawn_as_1():
    """Methods at the input divide by a quantile, above which everything has the last colour."""
    many = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(1, 100, 100)
    quantile = one_target(heatmaps=many, peak_quantile=0.995)
    assert quantile.color_scale().high == pytest.approx(0.995, abs=1e-3)
    assert (quantile.normalize() == 1).mean() == pytest.approx(0.005, abs=1e-3)


def test_a_file_with_a_colour_bar_is_larger_than_the_image(tmp_path):
    with Image.open(one_target().save(tmp_path / "with.png", colorbar=True)) as image:
        assert image.width > 100
    with Image.open(one_target().save(tmp_path / "without.png")) as image:
        assert image.size == (6, 4)


@pytest.mark.parametrize("kind", [None, "panels", "probabilities"])
def test_figures_as_vector_graphics(tmp_path, kind):
    svg = explanation().save(tmp_path / "figure.svg", kind, target="cat").read_text("utf-8")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  # our own
    assert "<dc:date>" not in svg
    pdf = explanation().save(tmp_path / "figure.PDF", kind).read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf


def test_photos_in_a_vector_graphic_keep_their_detail(tmp_path):
    svg = one_target().save(tmp_path / "one.svg").read_text("utf-8")
    png = re.search(r"data:image/png;base64,([^\"]+)", svg)[1]
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        assert image.height > 400


@pytest.mark.parametrize(
    ("suffix", "is_durable"), [("npz", True), ("json", True), ("html", True), ("png", False), ("gif", False)]
)
def test_what_cannot_be_drawn_again_is_on_the_disk_before_it_replaces_a_file(tmp_path, monkeypatch, suffix, is_durable):
    path, seen = tmp_path / f"a.{suffix}", []
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.read_bytes() == b"old"))
    explanation().save(path)
    assert seen == ([True, False] if is_durable else [])  # the content under another name, then the folder
