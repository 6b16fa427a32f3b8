import re

import numpy as np
import pytest
from tests.viewer.sample_explanation import sample_explanation

from seewhy.viewer.report import write_report

COUNT = 300


@pytest.fixture(scope="module")
def explanations():
    return [sample_explanation(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def report(explanations, tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "many.html"
    labels = [("cat", "dog", None)[number % 3] for number in range(COUNT)]
    return write_report(explanations, path, labels=labels)


def names(page):
    return page.locator(".card .name").all_text_contents()  # including those far below, which have no layout yet


def test_thumbnails_are_drawn_when_they_are_about_to_scroll_into_view(open_page, canvas_pixels, explanations, report):
    page = open_page(report)
    page.wait_for_selector(".card[data-drawn] >> nth=9")
    assert page.locator(".card").count() == COUNT
    assert page.locator(".card[data-drawn]").count() < 60
    drawn = canvas_pixels(page.locator(".card canvas").first).astype(int)
    assert np.abs(drawn - explanations[0].overlay(0)).max() <= 2
    page.locator(".card").last.scroll_into_view_if_needed()
    page.locator(".card").last.and_(page.locator("[data-drawn]")).wait_for()


def test_searching(open_page, report):
    page = open_page(report)
    page.get_by_label("Search").fill("01")
    assert names(page) == [f"{number:03d}.png" for number in (1, *range(10, 20), 101, 201)]
    assert page.get_by_role("status").first.inner_text() == f"13 of {COUNT} images"
    page.get_by_label("Search").fill("DOG")
    assert names(page) == [f"{number:03d}.png" for number in range(1, COUNT, 3)]
    page.get_by_label("Search").fill("nothing is called this")
    assert names(page) == []


def test_sorting(open_page, explanations, report):
    page = open_page(report)
    confidence = [explanation.predictions[0].probability for explanation in explanations]
    page.get_by_label("Sort by").select_option("most-confident")
    assert names(page)[:5] == [f"{number:03d}.png" for number in np.argsort(confidence)[::-1][:5]]
    page.get_by_label("Sort by").select_option("least-confident")
    assert names(page)[:5] == [f"{number:03d}.png" for number in np.argsort(confidence)[:5]]
    page.get_by_label("Sort by").select_option("wrong-first")
    wrong = max(range(1, COUNT, 3), key=lambda number: confidence[number])
    assert names(page)[0] == f"{wrong:03d}.png"
    page.get_by_label("Sort by").select_option("name")
    assert names(page)[:2] == ["000.png", "001.png"]


def test_filtering(open_page, explanations, report):
    page = open_page(report)
    confidence = np.array([explanation.predictions[0].probability for explanation in explanations])
    for chosen, expected in (
        ("high", confidence >= 0.9),
        ("middle", (confidence >= 0.5) & (confidence < 0.9)),
        ("low", confidence < 0.5),
        ("any", confidence >= 0),
    ):
        page.get_by_label("Confidence").select_option(chosen)
        assert len(names(page)) == expected.sum() > 0
    page.get_by_label("Predictions").select_option("wrong")
    assert len(names(page)) == COUNT / 3
    page.get_by_label("Predicted class").select_option("cat")  # the predicted class of every image here
    assert len(names(page)) == COUNT / 3
    assert page.get_by_label("Predicted class").locator("option").all_inner_texts() == ["All", "cat"]


def test_opening_an_image_and_the_next(open_page, report):
    page = open_page(report)
    page.get_by_label("Sort by").select_option("most-confident")
    order = names(page)
    page.locator(".card button").nth(1).click()
    page.wait_for_selector(".pane")
    assert page.locator("h2").inner_text() == order[1]
    assert page.locator(".gallery").is_hidden()
    assert page.locator("nav").get_by_role("status").inner_text() == f"2 of {COUNT}"
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name=order[2]).wait_for()
    page.get_by_role("button", name="Previous").click()
    page.get_by_role("heading", name=order[1]).wait_for()
    page.get_by_role("button", name="Previous").click()
    page.get_by_role("heading", name=order[0]).wait_for()
    assert page.get_by_role("button", name="Previous").is_disabled()


def test_closing_an_image_with_the_keyboard(open_page, report):
    page = open_page(report)
    page.locator(".card button").nth(2).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".pane")
    page.keyboard.press("Escape")
    assert page.locator(".gallery").is_visible()
    assert page.evaluate("document.activeElement.closest('.card') === document.querySelectorAll('.card')[2]")


def test_display_options_are_kept_from_image_to_image(open_page, slide, report):
    page = open_page(report)
    page.locator(".card button").first.click()
    page.wait_for_selector(".pane")
    slide(page, "Opacity", 70)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="001.png").wait_for()
    assert page.get_by_label("Opacity").input_value() == "70"


def test_a_damaged_photo_is_reported_and_the_others_are_shown(open_page, explanations, tmp_path):
    path = write_report(explanations[:3], tmp_path / "a.html")
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"data:image/png;base64,[^\"]+", "data:image/png;base64,AAAA", text, count=1), "utf-8")
    page = open_page(path)
    page.wait_for_selector(".card[data-drawn] >> nth=1")
    assert "The photo of 000.png cannot be shown" in page.locator(".card").first.inner_text()


def test_without_labels_there_are_no_verdicts(open_page, explanations, tmp_path):
    page = open_page(write_report(explanations[:3], tmp_path / "a.html"))
    assert page.get_by_label("Predictions").count() == 0
    assert page.locator(".verdict").count() == 0
    orders = page.get_by_label("Sort by").evaluate("select => [...select.options].map((option) => option.value)")
    assert "most-confident" in orders
    assert "wrong-first" not in orders


def test_a_thousand_images_can_be_searched(open_page, tmp_path):
    explanations = [sample_explanation(number) for number in range(COUNT)]
    many = [
        sample_explanation(number % COUNT, image=explanations[number % COUNT].image, source=f"{number}.png")
        for number in range(1000)
    ]
    page = open_page(write_report(many, tmp_path / "a.html"))
    page.locator("input[type=search]").fill("999.png")
    assert page.locator(".card:visible").count() == 1
