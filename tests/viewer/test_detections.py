"""Detections: each has its box on the image, which is selected with pointer, finger and keyboard."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from tests.viewer.sample_explanation import sample_explanation
from tests.viewer.test_accessibility import violations

from seewhy import Placement, TargetResult
from seewhy.viewer.report import write_report
from seewhy.viewer.viewer_data import viewer_data

SIZE = (300, 450)
BOXES = {
    "cat (1)": (120.4, 20.2, 330.7, 280.3),
    "cat (2)": (40.0, 60.0, 160.0, 200.0),
    "dog": (180.0, 60.0, 250.0, 130.0),  # inside the first
    "bird": (400.0, -30.0, 480.0, 40.0),  # extends beyond the image
    "fly": (20.0, 250.0, 24.0, 254.0),
}


def detections(count=5, **changes):
    """Return an explanation of detections, whose heatmaps have their peak in the middle of their box."""
    boxes = dict(list(BOXES.items())[:count])
    rows, columns = np.mgrid[:30, :45] * 10 + 5
    heatmaps = [
        np.exp(-((columns - (left + right) / 2) ** 2 + (rows - (top + bottom) / 2) ** 2) / 2000)
        for left, top, right, bottom in boxes.values()
    ]
    targets = tuple(
        TargetResult(position // 2, name, 3.0 - position, 0.9 - position / 10, True, box=box)
        for position, (name, box) in enumerate(boxes.items())
    )
    values = {
        "image": np.full((*SIZE, 3), 90, np.uint8),
        "heatmaps": np.array(heatmaps, dtype=np.float32),
        "targets": targets,
        "predictions": (),
        "placement": Placement(SIZE, (0, 0, *SIZE)),
    }
    return sample_explanation(**{**values, **changes})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return detections().report(tmp_path_factory.mktemp("reports") / "detections.html")


@pytest.fixture(scope="module")
def two_methods(tmp_path_factory):
    one = detections()
    other = detections(heatmaps=one.heatmaps - 0.3, method="saliency", title="Saliency")
    return write_report([one, other], tmp_path_factory.mktemp("reports") / "methods.html")


def box(page, name, pane=0):
    """Return the box of a detection over a pane."""
    boxes = page.locator(".pane").nth(pane).locator(".detection")
    return boxes.and_(page.get_by_role("button", name=re.compile(f"^{re.escape(name)}, ")))


def point_of(page, x, y):
    """Return a point of the image, in pixels, as one of the page."""
    bounds = page.locator(".pane canvas").first.bounding_box()
    return bounds["x"] + bounds["width"] * x / SIZE[1], bounds["y"] + bounds["height"] * y / SIZE[0]


def shown(page):
    """Return the names of the targets that the panes show."""
    return [name.split(" · ")[0] for name in page.locator(".view h3:visible").all_inner_texts()]


def highlighted(page):
    return page.locator("ol:visible .pointed .name").all_inner_texts()


def test_the_data_has_the_boxes_and_the_classes():
    data = viewer_data([detections(), sample_explanation(1)])
    first, second = data["images"]
    (explanation,) = first["explanations"]
    assert explanation["targets"][0]["box"] == [20.2, 120.4, 280.3, 330.7]  # rows first
    assert [row["name"] for row in first["detections"]] == ["cat", "cat", "dog", "bird", "fly"]
    one = detections()
    maps = np.concatenate([one.heatmaps, one.heatmaps[2:3]])
    twice = viewer_data([detections(heatmaps=maps, targets=one.targets + one.targets[2:3])])
    assert twice["images"][0]["detections"] == first["detections"]
    assert second["explanations"][0]["targets"][0]["box"] is None
    assert "detections" not in second


def test_each_detection_has_its_box_and_its_row(open_page, report):
    page = open_page(report)
    assert page.get_by_role("heading", name="Detections").is_visible()
    names = page.locator("ol .name").all_inner_texts()
    assert names == list(BOXES)
    for name, (left, top, right, bottom) in BOXES.items():
        bounds = box(page, name).bounding_box()
        (x, y), (end_x, end_y) = point_of(page, left, top), point_of(page, right, bottom)
        expected = (x, y, end_x - x, end_y - y)
        assert [bounds[key] for key in ("x", "y", "width", "height")] == pytest.approx(expected, abs=0.1)
    assert page.locator(".tag:visible").all_inner_texts() == [box(page, "cat (1)").get_attribute("aria-label")]
    assert "The white frame is the box that the detector found." in page.locator(".caption:visible").inner_text()


def test_pointing_at_a_box_highlights_its_row_and_a_click_shows_it(open_page, canvas_pixels, report):
    page = open_page(report)
    before = canvas_pixels(page.locator(".pane canvas"))
    page.mouse.move(*point_of(page, 60, 100))
    assert highlighted(page) == ["cat (2)"]
    assert shown(page) == ["cat (1)"]
    assert re.match("At (59|60), (99|100): ", page.locator(".value").inner_text())  # values are read there too
    page.mouse.down()
    page.mouse.up()
    assert shown(page) == ["cat (2)"]
    assert box(page, "cat (2)").get_attribute("aria-current") == "true"
    drawn = canvas_pixels(page.locator(".pane canvas"))
    assert np.abs(drawn.astype(int) - before).max() > 60
    page.mouse.move(*point_of(page, 100, 290))
    assert highlighted(page) == []


def test_of_boxes_inside_each_other_the_smaller_is_selected_then_the_larger(open_page, report):
    page = open_page(report)
    page.mouse.click(*point_of(page, 215, 95))
    assert shown(page) == ["dog"]
    page.mouse.click(*point_of(page, 215, 95))
    assert shown(page) == ["cat (1)"]
    page.mouse.click(*point_of(page, 215, 95))
    assert shown(page) == ["dog"]
    page.mouse.click(*point_of(page, 300, 250))  # in the larger alone
    assert shown(page) == ["cat (1)"]
    page.mouse.click(*point_of(page, 29, 252))  # beside a box that is too small to be hit
    assert shown(page) == ["fly"]


def test_boxes_are_selected_with_the_keyboard(open_page, report):
    page = open_page(report)
    page.locator(".pane canvas").focus()
    page.keyboard.press("Tab")
    assert highlighted(page) == ["cat (1)"]
    page.keyboard.press("ArrowRight")
    assert (highlighted(page), shown(page)) == (["cat (2)"], ["cat (1)"])
    page.keyboard.press("Enter")
    assert shown(page) == ["cat (2)"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert shown(page) == ["fly"]


def test_a_click_in_one_of_two_pinned_panes_replaces_what_it_shows(open_page, two_methods):
    page = open_page(two_methods, width=1280)
    rows = page.locator("ol:visible button")
    rows.nth(0).click()
    rows.nth(1).click()
    assert shown(page) == ["cat (1)", "cat (2)"]
    box(page, "dog", pane=1).click()
    assert shown(page) == ["cat (1)", "dog"]
    assert page.locator("ol:visible [aria-pressed=true] .name").all_inner_texts() == ["cat (1)", "dog"]
    page.get_by_role("radio", name="Difference").check()
    assert page.locator(".detection.shown").count() == 2
    page.get_by_label("All side by side").check()
    assert page.locator(".detection.shown").count() == 4
    page.get_by_label("Show the boxes of all detections").uncheck()
    assert page.locator(".detection:visible").count() == 4


def test_boxes_are_tapped_on_a_phone(open_page, report):
    page = open_page(report, width=390, height=800, touch=True)
    page.touchscreen.tap(*point_of(page, 60, 100))
    assert shown(page) == ["cat (2)"]
    page.get_by_role("button", name="Zoom in").tap()
    box(page, "dog").tap()
    assert shown(page) == ["dog"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "Tap a detection" in page.locator(".side .note").first.inner_text()


@pytest.mark.parametrize("name", ["cat (1)", "bird"])
def test_a_saved_image_has_the_frame_as_in_python(open_page, report, tmp_path, name):
    page = open_page(report)
    page.locator("ol button", has_text=name).focus()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").click()
    waiting.value.save_as(tmp_path / "saved.png")
    saved = np.asarray(Image.open(tmp_path / "saved.png").convert("RGB")).astype(int)
    assert np.abs(saved - detections().overlay(name)).max() <= 2


def test_a_gallery_has_the_frames_and_finds_the_classes(open_page, tmp_path):
    others = [detections(2, source="a.png"), sample_explanation(1)]
    page = open_page(write_report([detections(), *others], tmp_path / "a.html"))
    page.wait_for_selector(".card[data-drawn]")
    texts = [text.replace("\N{NO-BREAK SPACE}", "") for text in page.locator(".card .prediction").all_inner_texts()]
    assert texts[0] == "Detected: cat 90.0%, cat 80.0%, dog 70.0% and 2 more"
    page.get_by_label("Predicted class").select_option("dog")
    expect(page.locator(".card .name")).to_have_text(["000.png"])  # which waits: cards are drawn between two frames
    page.get_by_label("Predicted class").select_option("cat")
    expect(page.locator(".card")).to_have_count(3)


def test_a_smaller_image_of_a_notebook_has_its_frame_at_the_same_place():
    thumbnail = detections().thumbnail(45, 2)
    assert thumbnail.image.shape == (30, 45, 3)
    assert thumbnail.targets[0].box == pytest.approx(np.array(BOXES["cat (1)"]) / 10)
    assert len(thumbnail.targets) == 2


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_boxes_are_accessible(open_page, report, width, scheme):
    page = open_page(report, width=width, scheme=scheme)
    box(page, "dog").focus()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_notebook_has_the_boxes_too(open_page, tmp_path):
    html = detections()._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>A notebook</title>{html}", "utf-8")
    page = open_page(path, ready="iframe", expected="srcdoc")
    frame = page.frame_locator("iframe")
    frame.locator(".detection").nth(2).click()
    assert frame.locator(".view h3:visible").inner_text().startswith("dog · ")
