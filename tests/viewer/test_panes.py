"""Compared panes: what they share is said once, nothing moves under the pointer, and they are zoomed together."""

import re

import numpy as np
import pytest
from tests.viewer.sample_explanation import sample_explanation
from tests.viewer.test_accessibility import SCREENS, violations

from seewhy import Placement
from seewhy.viewer.report import write_report

TALL_NAME = "a class whose name takes more than one line where two images are side by side"


def texts(page, selector):
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in page.locator(f"{selector}:visible").all_inner_texts()]


def pin(page, *positions):
    for position in positions:
        page.locator("ol:visible button").nth(position).click()
    page.mouse.move(2, 2)


def boxes(page):
    """Return where the images are on the page, whatever the browser has scrolled to click."""
    return page.locator(".pane canvas").evaluate_all(
        """canvases => canvases.map((canvas) => {
            const { x, y, width, height } = canvas.getBoundingClientRect();
            const view = canvas.closest(".view").getBoundingClientRect();
            return [x - view.x, y - view.y + canvas.closest(".view").scrollTop, width, height];
        })"""
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """One explanation of three classes, of which the second has a long name."""
    explanation = sample_explanation()
    targets = list(explanation.targets)
    targets[1] = type(targets[1])(1, TALL_NAME, 4.0, targets[1].probability, True)
    return sample_explanation(targets=tuple(targets)).report(tmp_path_factory.mktemp("reports") / "one.html")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Explanations by three methods, the last at another layer."""
    others = [sample_explanation(title="LayerCAM"), sample_explanation(title="HiResCAM", layer="early")]
    return write_report([sample_explanation(), *others], tmp_path_factory.mktemp("reports") / "several.html")


@pytest.fixture(scope="module")
def panorama(tmp_path_factory):
    """An image ten times as wide as high, with its peak near the right end."""
    heatmaps = np.zeros((2, 1, 20), np.float32)
    heatmaps[:, 0, 17] = 1
    explanation = sample_explanation(
        image=np.full((40, 400, 3), 120, np.uint8),
        heatmaps=heatmaps,
        targets=sample_explanation().targets[:2],
        placement=Placement((40, 400), (0, 0, 40, 400)),
    )
    return explanation.report(tmp_path_factory.mktemp("reports") / "panorama.html")


def test_two_classes_share_their_explanation(open_page, one):
    page = open_page(one, width=1280)
    pin(page, 0, 2)
    probabilities = [100 * sample_explanation().targets[index].probability for index in (0, 2)]
    assert texts(page, ".view h3") == [f"cat · {probabilities[0]:.1f}%", f"fish · {probabilities[1]:.1f}%"]
    assert texts(page, ".view .detail") == ["lite · Grad-CAM · layer conv · 3 \N{MULTIPLICATION SIGN} 4"]
    captions = texts(page, ".caption")
    assert captions[0] == "No evidence for “fish” in this image."  # in its pane
    assert captions[1].startswith("The brighter a place, the stronger the evidence for “cat”. Each heatmap is scaled")
    pin(page, 1)  # instead of the first
    pin(page, 0)  # instead of the third
    assert texts(page, ".caption")[0].startswith(
        "The brighter a place, the stronger the evidence for the class named above the image."
    )
    assert len(texts(page, ".caption")) == 1


def test_several_methods_share_their_headline(open_page, several):
    page = open_page(several, width=1280)
    page.get_by_label("All side by side").check()
    headline, *titles = texts(page, ".view h3")
    assert headline.startswith("cat · ")
    assert titles == ["Grad-CAM · layer conv", "LayerCAM · layer conv", "HiResCAM · layer early"]
    assert texts(page, ".view .detail") == ["lite · 3 \N{MULTIPLICATION SIGN} 4"]
    assert len(texts(page, ".caption")) == 1
    pin(page, 0, 1)  # now the panes differ in both
    assert len(texts(page, ".view h3")) == 6
    assert texts(page, ".view .detail")[1] == "Grad-CAM · layer conv"


@pytest.mark.parametrize("width", [1280, 1000, 360])
def test_nothing_moves_under_the_pointer(open_page, one, width):
    page = open_page(one, width=width)
    still = boxes(page)
    for position in range(3):
        page.locator("ol button").nth(position).hover()
        assert boxes(page) == still
    pin(page, 0, 1)
    still = boxes(page)
    assert len(still) == 2
    assert still[0][1] == still[1][1]  # although one title has more lines
    for position in (0, 1):
        page.locator(".pane canvas").nth(position).hover()
        assert page.locator(".value").nth(position).is_visible()
        assert boxes(page) == still


@pytest.mark.parametrize("width", [1280, 360])
def test_a_panorama_is_zoomed_to_its_peak(open_page, panorama, width):
    page = open_page(panorama, width=width)
    assert page.get_by_role("button", name="Zoom out").is_disabled()
    ((_, _, whole, height),) = boxes(page)
    assert whole == pytest.approx(10 * height, rel=0.02)
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    assert texts(page, ".zoom output") == ["800%"]
    ((x, _, zoomed, _),) = boxes(page)
    assert zoomed == pytest.approx(8 * whole, rel=0.01)
    peak = x + zoomed * 17.5 / 20
    assert 0 < peak < whole  # it is in view
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".pane canvas").focus()
    page.keyboard.press("ArrowRight")  # by 10 pixels from the peak: half of a cell
    (value,) = texts(page, ".value")
    assert int(re.fullmatch(r"At 3(?:59|60), 20: 0\.\d+, (\d+)% of the peak", value)[1]) == pytest.approx(50, abs=4)
    mark, scroller = (page.locator(name).bounding_box() for name in (".mark", ".scroller"))
    assert scroller["x"] <= mark["x"] <= scroller["x"] + scroller["width"]
    for _ in range(3):
        page.get_by_role("button", name="Zoom out").click()
    assert boxes(page)[0][2] == pytest.approx(whole)


def test_compared_panes_show_the_same_part(open_page, panorama):
    page = open_page(panorama, width=1280)
    pin(page, 0, 1)
    page.get_by_role("button", name="Zoom in").click()
    scrollers = page.locator(".scroller")
    scrollers.last.evaluate(
        """scroller => {
            scroller.scrollLeft = 40;
            return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        }"""
    )
    assert scrollers.evaluate_all("all => all.map((scroller) => scroller.scrollLeft)") == [40, 40]


@pytest.mark.parametrize("width", [1280, 360])
def test_no_line_breaks_within_a_probability(open_page, one, several, width):
    for report in (one, several):
        page = open_page(report, width=width)
        pin(page, 0, 1)
        text = page.evaluate("document.body.innerText")
        assert text.count("%") > 5
        assert not re.search(r"\s%", text)


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_compared_and_zoomed_panes_are_accessible(open_page, one, width, scheme):
    page = open_page(one, width=width, scheme=scheme)
    pin(page, 0, 1)
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".pane canvas").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".value").first.is_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
