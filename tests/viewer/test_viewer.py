"""What the reader does, and what the viewer then shows."""

import re

import numpy as np
import pytest
from tests.viewer.sample_explanation import sample_explanation

from seewhy import Placement, TargetResult
from seewhy.images.reading import read
from seewhy.viewer.report import write_report

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def pane_titles(page):
    return page.locator(".view h3:visible").all_inner_texts()


def test_the_first_target_is_shown_with_its_model_method_and_layer(open_page, cat_report):
    page = open_page(cat_report)
    assert pane_titles(page) == ["tiger cat · 38.5%"]
    size = f"7{SPACE}\N{MULTIPLICATION SIGN}{SPACE}7"
    assert page.locator(".detail:visible").inner_text() == f"efficientnet-lite0 · Grad-CAM · layer top_relu6 · {size}"
    caption = page.locator(".caption:visible").inner_text()
    assert "the stronger the evidence for “tiger cat”" in caption
    assert "the part that the model did not see" in caption
    assert page.locator(".legend").inner_text().split() == ["0", "0.393"]
    assert page.locator("ol li").all_inner_texts()[0].split("\n")[0] == "tiger cat"


def test_hovering_shows_another_class(open_page, canvas_pixels, cat, cat_report):
    page = open_page(cat_report)
    canvas = page.locator(".pane canvas")
    before = canvas_pixels(canvas)
    page.locator("ol button").nth(2).hover()
    assert pane_titles(page)[0].startswith("tabby")
    after = canvas_pixels(canvas)
    assert (before != after).any()
    assert np.abs(after.astype(int) - cat.overlay(2)).max() <= 2


def test_the_arrow_keys_go_through_the_classes(open_page, canvas_pixels, cat_report):
    page = open_page(cat_report)
    first = page.locator("ol button").first
    first.focus()
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "End", "ArrowDown", "Home", "ArrowUp"):
        page.keyboard.press(key)
        seen.append((pane_titles(page)[0].split(" · ")[0], canvas_pixels(page.locator(".pane canvas")).tobytes()))
    names = [name for name, _ in seen]
    assert names == ["Egyptian cat", "tabby", "Egyptian cat", names[3], names[3], "tiger cat", "tiger cat"]
    assert len({pixels for _, pixels in seen}) == len(set(names)) == 4


def test_tab_goes_into_the_list_once(open_page, cat_report):
    page = open_page(cat_report)
    page.locator("ol button").nth(1).hover()
    assert page.locator("ol button[tabindex='0']").all_inner_texts()[0].startswith("Egyptian cat")


def test_a_pinned_class_stays_when_the_pointer_leaves(open_page, cat_report):
    page = open_page(cat_report)
    page.locator("ol button").nth(1).click()
    page.locator("ol button").nth(2).hover()
    assert pane_titles(page)[0].startswith("tabby")
    page.mouse.move(5, 5)
    assert pane_titles(page)[0].startswith("Egyptian cat")
    assert page.locator("[aria-pressed=true]").count() == 1
    page.locator("ol button").nth(1).click()
    assert page.locator("[aria-pressed=true]").count() == 0


def test_two_pinned_classes_stand_side_by_side(open_page, canvas_pixels, cat, cat_report):
    page = open_page(cat_report)
    page.locator("ol button").nth(0).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert [name.split(" · ")[0] for name in pane_titles(page)] == ["tiger cat", "Egyptian cat"]
    for position in (0, 1):
        drawn = canvas_pixels(page.locator(".pane canvas").nth(position)).astype(int)
        assert np.abs(drawn - cat.overlay(position)).max() <= 2
    page.locator("ol button").nth(2).click()  # a third takes the place of the first
    assert [name.split(" · ")[0] for name in pane_titles(page)] == ["Egyptian cat", "tabby"]


def test_the_difference_of_two_classes_is_in_their_own_units(open_page, canvas_pixels, cat, cat_report):
    page = open_page(cat_report)
    page.locator("ol button").nth(3).click()
    page.locator("ol button").nth(0).click()
    beside = canvas_pixels(page.locator(".pane canvas").first)
    page.get_by_role("radio", name="Difference").check()
    assert pane_titles(page) == [f"{cat.targets[3].name} minus tiger cat"]
    difference = cat.heatmaps[3] - cat.heatmaps[0]
    peak = np.abs(difference).max()
    assert peak > difference.max()  # the largest is negative
    assert page.locator(".legend").inner_text().split() == [f"{MINUS}{peak:.3g}", f"{peak:.3g}"]
    assert (canvas_pixels(page.locator(".pane canvas")) != beside).any()
    assert page.get_by_label("Colours").is_hidden()


def test_the_value_under_the_cursor(open_page, tmp_path):
    """The model saw rows 2.5 to 37.5 and columns 10.25 to 50.25, in cells of 11.67 by 10 pixels."""
    explanation = sample_explanation()
    page = open_page(explanation.report(tmp_path / "a.html"))
    bounds = page.locator(".pane canvas").bounding_box()

    def point(x, y):
        page.mouse.move(bounds["x"] + bounds["width"] * x / 60, bounds["y"] + bounds["height"] * y / 40)
        return page.locator(".value").inner_text()

    peak = explanation.heatmaps[0].max()
    match = re.fullmatch(r"At 25, 20: (\S+), (\d+)% of the peak", point(25.25, 20.0))
    assert float(match[1]) == pytest.approx(explanation.heatmaps[0, 1, 1], rel=0.06)
    assert int(match[2]) == pytest.approx(100 * explanation.heatmaps[0, 1, 1] / peak, abs=6)
    assert point(5.5, 20) == "At 5, 20: the model did not see this part."
    page.mouse.move(2, 2)
    assert page.locator(".value").is_hidden()
    assert page.get_by_text("Point at the image, or focus it").is_visible()


def test_values_are_read_with_the_keyboard_too(open_page, tmp_path):
    page = open_page(sample_explanation().report(tmp_path / "a.html"))
    page.locator(".pane canvas").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".value").inner_text().startswith("At 31, 20: ")
    page.keyboard.press("ArrowUp")
    assert page.locator(".value").inner_text().startswith("At 31, 19: ")
    assert page.locator(".mark").is_visible()


def test_screen_readers_get_the_position_of_the_peak(open_page, tmp_path):
    heatmaps = np.zeros((1, 3, 4), np.float32)
    heatmaps[0, 2, 3] = 1
    corner = sample_explanation(heatmaps=heatmaps, targets=sample_explanation().targets[:1])
    page = open_page(corner.report(tmp_path / "a.html"))
    label = page.get_by_role("img").get_attribute("aria-label")
    assert label.startswith("000.png: cat · ")
    assert label.endswith("strongest at the lower right")


def test_missing_evidence_is_reported(open_page, tmp_path):
    page = open_page(sample_explanation().report(tmp_path / "a.html"))
    page.locator("ol button").nth(2).hover()
    assert page.locator(".caption:visible").all_inner_texts() == ["No evidence for “fish” in this image."]
    assert page.locator("ol li").nth(3).inner_text().split("\n")[:2] == ["bird", "not explained"]
    assert page.locator("ol button").count() == 3


def test_a_target_that_is_not_a_class_is_listed_without_a_probability(open_page, tmp_path):
    targets = (sample_explanation().targets[0], TargetResult(-1, "cat rather than dog", 1.0, None, True))
    page = open_page(
        sample_explanation(heatmaps=sample_explanation().heatmaps[:2], targets=targets).report(tmp_path / "a.html")
    )
    assert page.locator("ol li").last.inner_text().split("\n")[0] == "cat rather than dog"
    page.locator("ol button").last.hover()
    assert pane_titles(page) == ["cat rather than dog"]


def test_methods_are_chosen_and_compared(open_page, cat_by_two_methods, tmp_path):
    page = open_page(write_report(cat_by_two_methods, tmp_path / "a.html"))
    assert pane_titles(page) == ["tiger cat · 38.5%"]
    page.get_by_label("Method and layer").select_option("1")
    assert "HiResCAM" in page.locator(".detail:visible").inner_text()
    page.get_by_label("All side by side").check()
    assert page.locator(".pane").count() == 2
    page.locator("ol:visible button").filter(has_text="stingray").hover()
    captions = page.locator(".caption:visible").all_inner_texts()
    assert captions[0] == "“stingray” was not explained with Grad-CAM."
    assert "evidence for “stingray”" in captions[1]
    assert page.get_by_role("button", name="Save as PNG").first.is_disabled()


def test_each_model_has_its_own_probabilities(open_page, tmp_path):
    rows = [(0, "cat", 0.25), (1, "dog", 0.5), (2, "fish", 0.25)]
    targets = tuple(TargetResult(index, name, 1.0, probability, True) for index, name, probability in rows)
    other = sample_explanation(model="other", targets=targets, predictions=())
    page = open_page(write_report([sample_explanation(), other], tmp_path / "a.html"))
    page.get_by_label("Method and layer").select_option("1")
    assert page.locator("ol:visible button .probability").all_text_contents() == [
        f"{percent}%" for percent in ("50.0", "25.0", "25.0")
    ]


def test_evidence_against_can_be_shown_for_signed_heatmaps(open_page, cat_by_two_methods, cat_report, tmp_path):
    page = open_page(write_report(cat_by_two_methods[1:], tmp_path / "a.html"))
    page.locator("ol button").filter(has_text="stingray").hover()
    low = page.locator(".legend span").first
    assert low.inner_text() == "0"
    page.get_by_label("Show evidence against, too").check()
    assert low.inner_text() == f"{MINUS}{np.abs(cat_by_two_methods[1].heatmaps[1]).max():.3g}"
    assert "cold colours evidence against it" in page.locator(".caption:visible").inner_text()
    assert open_page(cat_report).get_by_label("Show evidence against, too").count() == 0


def test_jet_has_a_warning(open_page, cat_report):
    page = open_page(cat_report)
    warning = page.get_by_text("Jet is misleading")
    page.get_by_label("Colours").select_option("viridis")
    assert warning.is_hidden()
    page.get_by_label("Colours").select_option("jet")
    assert warning.is_visible()


def test_thresholds_are_remembered_for_each_mode(open_page, slide, cat_report):
    page = open_page(cat_report)
    threshold = page.get_by_label("Threshold")
    slide(page, "Threshold", 30)
    page.get_by_role("radio", name="Contour").check()
    assert threshold.input_value() == "15"
    assert page.get_by_label("Opacity").is_disabled()
    page.get_by_role("radio", name="Overlay").check()
    assert threshold.input_value() == "30"


@pytest.mark.parametrize("mode", ["Heatmap", "Contour", "Box"])
def test_every_mode_looks_different(open_page, canvas_pixels, cat_report, mode):
    page = open_page(cat_report)
    before = canvas_pixels(page.locator(".pane canvas"))
    page.get_by_role("radio", name=mode).check()
    assert (canvas_pixels(page.locator(".pane canvas")) != before).mean() > 0.005


def test_saving_at_the_photo_s_size(open_page, cat, cat_report, tmp_path):
    page = open_page(cat_report)
    page.locator("ol button").nth(1).hover()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").click()
    assert waiting.value.suggested_filename == "cat_gradcam_Egyptian_cat.png"
    waiting.value.save_as(tmp_path / "saved.png")
    saved = read(tmp_path / "saved.png").astype(int)
    assert np.abs(saved - cat.overlay(1)).max() <= 2


def test_a_large_photo_is_shown_smaller_and_saved_in_full(open_page, canvas_pixels, tmp_path):
    image = np.full((1200, 2000, 3), 90, np.uint8)
    large = sample_explanation(image=image, placement=Placement((1200, 2000), (0, 400, 1200, 1600)))
    page = open_page(large.report(tmp_path / "a.html"))
    drawn = canvas_pixels(page.locator(".pane canvas"))
    assert drawn.shape[0] * drawn.shape[1] <= 1_210_000
    assert drawn.shape[1] / drawn.shape[0] == pytest.approx(2000 / 1200, abs=0.01)
    changed = np.nonzero((drawn != 90).any(axis=(0, 2)))[0] / drawn.shape[1]
    np.testing.assert_allclose([changed.min(), changed.max()], [0.2, 0.8], atol=0.005)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").click()
    waiting.value.save_as(tmp_path / "saved.png")
    assert read(tmp_path / "saved.png").shape == (1200, 2000, 3)


def test_at_360_pixels_nothing_is_cut_off(open_page, cat_report):
    page = open_page(cat_report, width=360, height=740)
    page.locator("ol button").nth(0).click()
    page.locator("ol button").nth(1).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".pane canvas").count() == 2
    page.locator("ol button").nth(1).click()
    assert page.locator(".pane canvas").bounding_box()["width"] > 300
