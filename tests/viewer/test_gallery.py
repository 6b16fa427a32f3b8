import re

import numpy as np
import pytest
from tests.viewer.made import made

from seewhy.viewer.report import write_report

COUNT = 300


@pytest.fixture(scope="module")
def explanations():
    return [made(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def report(explanations, tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "many.html"
    labels = [("cat", "dog", None)[number % 3] for number in range(COUNT)]
    return write_report(explanations, path, labels=labels)


def names(page):
    return page.locator(".card .name").all_text_contents()  # those far below, too, which are not laid out


def test_small_images_are_drawn_when_they_are_about_to_be_seen(open_page, canvas_pixels, explanations, report):
    page = open_page(report)
    page.wait_for_selector(".card[data-drawn] >> nth=9")
    assert page.locator(".card").count() == COUNT
    assert page.locator(".card[data-drawn]").count() < 60
    drawn = canvas_pixels(page.locator(".card canvas").first).astype(int)
    assert np.abs(drawn - explanations[0].overlay(0, alpha=0.5, colormap="viridis")).max() <= 2
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
    best = [each.predictions[0].probability for each in explanations]
    page.get_by_label("Order").select_option("sure")
    assert names(page)[:5] == [f"{number:03d}.png" for number in np.argsort(best)[::-1][:5]]
    page.get_by_label("Order").select_option("unsure")
    assert names(page)[:5] == [f"{number:03d}.png" for number in np.argsort(best)[:5]]
    page.get_by_label("Order").select_option("wrong")
    wrong = max(range(1, COUNT, 3), key=lambda number: best[number])
    assert names(page)[0] == f"{wrong:03d}.png"
    page.get_by_label("Order").select_option("name")
    assert names(page)[:2] == ["000.png", "001.png"]


def test_filtering(open_page, explanations, report):
    page = open_page(report)
    best = np.array([each.predictions[0].probability for each in explanations])
    for chosen, expected in (
        ("high", best >= 0.9),
        ("middle", (best >= 0.5) & (best < 0.9)),
        ("low", best < 0.5),
        ("any", best >= 0),
    ):
        page.get_by_label("Confidence").select_option(chosen)
        assert len(names(page)) == expected.sum() > 0
    page.get_by_label("Right or wrong").select_option("wrong")
    assert len(names(page)) == COUNT / 3
    page.get_by_label("Taken for").select_option("cat")  # what every image here is taken for
    assert len(names(page)) == COUNT / 3
    assert page.get_by_label("Taken for").locator("option").all_inner_texts() == ["All", "cat"]


def test_opening_and_going_on(open_page, report):
    page = open_page(report)
    page.get_by_label("Order").select_option("sure")
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


def test_going_back_with_the_keyboard(open_page, report):
    page = open_page(report)
    page.locator(".card button").nth(2).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".pane")
    page.keyboard.press("Escape")
    assert page.locator(".gallery").is_visible()
    assert page.evaluate("document.activeElement.closest('.card') === document.querySelectorAll('.card')[2]")


def test_what_was_set_stays_from_image_to_image(open_page, slide, report):
    page = open_page(report)
    page.locator(".card button").first.click()
    page.wait_for_selector(".pane")
    slide(page, "Opacity", 70)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="001.png").wait_for()
    assert page.get_by_label("Opacity").input_value() == "70"


def test_a_damaged_photo_is_told_of_and_the_others_are_shown(open_page, explanations, tmp_path):
    path = write_report(explanations[:3], tmp_path / "a.html")
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"data:image/png;base64,[^\"]+", "data:image/png;base64,AAAA", text, count=1), "utf-8")
    page = open_page(path)
    page.wait_for_selector(".card[data-drawn] >> nth=1")
    assert "The photo 000.png cannot be shown" in page.locator(".card").first.inner_text()


def test_without_labels_nothing_is_said_of_right_and_wrong(open_page, explanations, tmp_path):
    page = open_page(write_report(explanations[:3], tmp_path / "a.html"))
    assert page.get_by_label("Right or wrong").count() == 0
    assert page.locator(".verdict").count() == 0
    assert "wrong" not in page.get_by_label("Order").evaluate("each => [...each.options].map((option) => option.value)")


def test_a_thousand_images_are_searched(open_page, tmp_path):
    explanations = [made(number) for number in range(COUNT)]
    many = [
        made(number % COUNT, image=explanations[number % COUNT].image, source=f"{number}.png") for number in range(1000)
    ]
    page = open_page(write_report(many, tmp_path / "a.html"))
    page.locator("input[type=search]").fill("999.png")
    assert page.locator(".card:visible").count() == 1
