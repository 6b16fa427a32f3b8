"""The viewer draws what Python draws."""

import numpy as np
import pytest
from tests.viewer.sample_explanation import sample_explanation

from seewhy import Placement
from seewhy.images.bounding_boxes import bounding_boxes
from seewhy.images.overlay import color_table, heatmap_image
from seewhy.images.speckle import smooth_regions
from seewhy.images.style import Style
from seewhy.viewer.assets import bundle

CLOSE = 2
"""Of 255."""


def color_step(colormap):
    """Return the largest difference of neighbouring colours: rounding may choose a neighbouring one."""
    return np.abs(np.diff(color_table(colormap).astype(int), axis=0)).max()


def differences(one, other):
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize(("target", "alpha", "colormap"), [(0, 50, "viridis"), (1, 80, "jet"), (4, 40, "inferno")])
def test_an_overlay_is_python_s(open_page, canvas_pixels, slide, cat, cat_report, target, alpha, colormap):
    """The photo is not square, and the model saw a part of it."""
    page = open_page(cat_report)
    page.locator("ol button").nth(target).focus()
    slide(page, "Opacity", alpha)
    page.get_by_label("Colours").select_option(colormap)
    drawn = canvas_pixels(page.locator(".pane canvas"))
    expected = cat.overlay(target, alpha=alpha / 100, colormap=colormap)
    assert cat.image.shape == (300, 451, 3)
    assert 0.4 < cat.placement.covered.mean() < 0.6
    error = differences(drawn, expected).max(axis=2)
    assert error.max() <= max(CLOSE, np.ceil(alpha / 100 * color_step(colormap)))
    assert (error > CLOSE).mean() < 0.001
    assert differences(drawn, cat.image).max() > 60
    np.testing.assert_array_equal(drawn[~cat.placement.covered], cat.image[~cat.placement.covered])


def test_a_heatmap_is_python_s(open_page, canvas_pixels, cat, cat_report):
    page = open_page(cat_report)
    page.get_by_role("radio", name="Heatmap").check()
    expected = heatmap_image(cat.normalized_heatmaps[0], cat.placement.covered, Style().colormap)
    error = differences(canvas_pixels(page.locator(".pane canvas")), expected).max(axis=2)
    assert error.max() <= color_step(Style().colormap)
    assert (error > CLOSE).mean() < 0.001


def test_below_the_threshold_the_photo_stays(open_page, canvas_pixels, slide, cat, cat_report):
    page = open_page(cat_report)
    slide(page, "Threshold", 60)
    drawn = canvas_pixels(page.locator(".pane canvas"))
    mask = cat.mask(0.6)
    assert 0.02 < mask.mean() < 0.3
    np.testing.assert_array_equal(drawn[~mask], cat.image[~mask])
    assert differences(drawn, cat.overlay(0))[mask].max() <= CLOSE


@pytest.fixture
def drawing(chromium):
    """A page in which the renderer's functions can be called."""
    page = chromium.new_page()
    page.add_script_tag(content=bundle("renderer.js"))
    yield page
    page.close()


@pytest.mark.parametrize(
    "box", [(0, 0, 20, 30), (-3.5, 4.25, 25, 22.75), (5, 5, 6, 6), (30, 40, 50, 60), (2.5, -10, 17.5, 3)]
)
def test_heatmaps_are_placed_as_python_places_them(drawing, box):
    heatmap = np.random.default_rng(1).random((3, 5), dtype=np.float32)
    for input_box in ((0, 0, 1, 1), (0.25, 0.125, 0.75, 0.5), (-0.5, -0.25, 1.5, 1.25)):
        placement = Placement((20, 30), box, input_box)
        values = drawing.evaluate(
            """([cells, box, input]) => Array.from(placeHeatmap(
                { rows: 3, columns: 5, cells: Float32Array.from(cells), box, input },
                pixelCentres(20, 20), pixelCentres(30, 30),
            ).values)""",
            [heatmap.ravel().tolist(), list(placement.heatmap_box), list(box)],
        )
        expected = placement.place(heatmap[None])[0]
        np.testing.assert_allclose(np.reshape(values, (20, 30)), expected, atol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45, 0.6, 1])
def test_boxes_are_python_s(drawing, share):
    mask = np.random.default_rng(2).random((24, 31)) < share
    boxes = drawing.evaluate(
        "values => boundingBoxes(Float32Array.from(values), 0.5, 31)", mask.ravel().astype(float).tolist()
    )
    expected = bounding_boxes(mask)
    sizes = [box["pixels"] for box in boxes]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == mask.sum()
    assert {(box["top"], box["left"], box["bottom"], box["right"]) for box in boxes} == set(expected)
    assert len(boxes) == len(expected)


@pytest.mark.parametrize("shape", [(24, 31), (2, 2), (1, 40)])
def test_speckle_is_smoothed_as_python_smooths_it(drawing, shape):
    heatmap = np.random.default_rng(3).random(shape, dtype=np.float32) ** 4
    heatmap[: shape[0] // 2, : shape[1] // 2] += 0.2
    signed = heatmap * np.where(np.arange(shape[1]) < shape[1] / 2, 1, -1).astype(np.float32)
    for values, is_signed in ((heatmap, False), (signed, True)):
        smoothed = drawing.evaluate(
            """([cells, rows, columns, signed]) =>
                Array.from(smoothRegions({ rows, columns, signed, cells: Float32Array.from(cells) }).cells)""",
            [values.ravel().tolist(), *shape, is_signed],
        )
        towards, against = (smooth_regions(np.maximum(sign * values, 0)) for sign in (1, -1))
        expected = np.where(towards >= against, towards, -against) if is_signed else towards
        np.testing.assert_allclose(np.reshape(smoothed, shape), expected, atol=1e-5)


def test_the_box_shown_is_python_s(open_page, canvas_pixels, slide, cat, cat_report):
    page = open_page(cat_report)
    page.get_by_role("radio", name="Box").check()
    slide(page, "Threshold", 60)
    changed = differences(canvas_pixels(page.locator(".pane canvas")), cat.image).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    boxes = np.array(cat.boxes(0.6))
    drawn = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
    expected = np.array([*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)])
    assert np.abs(drawn - expected).max() <= 4  # half a line width
    top, left, bottom, right = boxes[0]
    assert not changed[(top + bottom) // 2, (left + right) // 2]


def test_a_contour_lies_where_the_level_is_crossed(drawing):
    """The values rise linearly from 0 at x = 1 to 2 at x = 5."""
    segments = drawing.evaluate(
        "contourSegments(0.5, Float32Array.from([0, 1, 2, 0, 1, 2, 0, 1, 2]), [10, 20, 30], [1, 3, 5])"
    )
    assert sorted(tuple(sorted([(x1, y1), (x2, y2)])) for x1, y1, x2, y2 in segments) == [
        ((2, 10), (2, 20)),
        ((2, 20), (2, 30)),
    ]


@pytest.mark.parametrize("corners", range(16))
def test_contours_separate_corners_above_from_corners_below(drawing, corners):
    values = [float(corners >> corner & 1) for corner in (0, 1, 3, 2)]  # the corners are counted clockwise
    segments = drawing.evaluate("values => contourSegments(0.5, Float32Array.from(values), [0, 1], [0, 1])", values)
    sides = {(0.5, 0): (0, 1), (1, 0.5): (1, 3), (0.5, 1): (2, 3), (0, 0.5): (0, 2)}
    crossed = {point for x1, y1, x2, y2 in segments for point in ((x1, y1), (x2, y2))}
    assert crossed == {point for point, (start, end) in sides.items() if values[start] != values[end]}
    assert len(segments) == len(crossed) / 2


def test_evidence_against_fades_in_from_the_middle(open_page, canvas_pixels, tmp_path):
    grey = np.full((40, 60, 3), 200, np.uint8)
    heatmaps = np.array([[[-2.0, 0.0, 2.0]]], np.float32)
    signed = sample_explanation(
        image=grey,
        heatmaps=heatmaps,
        targets=sample_explanation().targets[:1],
        placement=Placement((40, 60), (0, 0, 40, 60)),
    )
    page = open_page(signed.report(tmp_path / "a.html"))
    page.get_by_label("Show evidence against, too").check()
    drawn = canvas_pixels(page.locator(".pane canvas"))[20].astype(int)
    cold, warm = color_table("coolwarm")[[0, 255]].astype(int)
    alpha = Style().alpha
    assert np.abs(drawn[0] - ((1 - alpha) * 200 + alpha * cold)).max() <= 1
    assert np.abs(drawn[-1] - ((1 - alpha) * 200 + alpha * warm)).max() <= 1
    assert np.abs(drawn[30] - 200).max() <= 2
