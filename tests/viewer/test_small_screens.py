"""A phone: the image stays in view, the texts say what a finger can do, and filters are folded."""

import pytest
from tests.viewer.sample_explanation import sample_explanation
from tests.viewer.test_accessibility import violations

from seewhy.viewer.report import write_report

PHONE = {"width": 360, "height": 740, "touch": True}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return sample_explanation().report(tmp_path_factory.mktemp("reports") / "one.html")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    explanations = [sample_explanation(number) for number in range(4)]
    return write_report(explanations, tmp_path_factory.mktemp("reports") / "many.html", ["cat", "dog"] * 2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_image_stays_in_view_while_classes_are_tapped(open_page, canvas_pixels, report, scheme):
    page = open_page(report, scheme=scheme, **PHONE)
    canvas = page.locator(".pane canvas")
    before = canvas_pixels(canvas)
    page.evaluate("scrollTo(0, document.querySelector('ol').getBoundingClientRect().top - 350)")
    page.locator("ol button").nth(1).tap()
    assert page.locator(".view h3:visible").inner_text().startswith("dog")
    assert (canvas_pixels(canvas) != before).any()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    bounds = canvas.bounding_box()
    assert bounds["width"] > 300
    assert 0 <= bounds["y"] < bounds["y"] + bounds["height"] < 740 * 0.65
    assert page.locator(".view").evaluate("view => view.getBoundingClientRect().top") == pytest.approx(0, abs=1)
    assert violations(page) == []


def test_the_first_tap_shows_a_class_and_the_second_pins_it(open_page, report):
    page = open_page(report, **PHONE)
    pinned = page.locator("[aria-pressed=true]")
    button = page.locator("ol button").nth
    button(1).tap()
    assert pinned.count() == 0
    button(1).tap()
    assert pinned.count() == 1
    button(2).tap()  # looks at another
    assert pinned.count() == 1
    assert page.locator(".view h3:visible").inner_text().startswith("fish")
    button(2).tap()
    assert pinned.count() == 2
    assert page.locator(".pane").count() == 2
    page.keyboard.press("Enter")  # a key needs no second press
    assert pinned.count() == 1


def test_a_tap_on_the_image_reads_a_value(open_page, report):
    page = open_page(report, **PHONE)
    page.locator(".pane canvas").tap()
    assert page.locator(".value").inner_text().startswith(("At 30, 20: ", "At 30, 19: "))


@pytest.mark.parametrize(
    ("touch", "said", "unsaid"), [(True, "tap", ("hover", "click", "point", "press")), (False, "hover", ("tap",))]
)
def test_the_texts_say_what_the_reader_can_do(open_page, report, touch, said, unsaid):
    page = open_page(report, **{**PHONE, "touch": touch})
    text = page.locator("body").inner_text().lower()
    assert said in text
    assert not [word for word in unsaid if word in text]


def test_filters_are_folded_and_say_how_many_are_in_use(open_page, gallery):
    page = open_page(gallery, **PHONE)
    assert page.get_by_label("Search").is_visible()
    assert page.get_by_label("Sort by").is_hidden()
    assert page.locator(".card").first.bounding_box()["y"] < 370  # half of the screen is left for images
    page.get_by_text("Sort and filter").tap()
    page.get_by_label("Predictions").select_option("wrong")
    page.get_by_label("Sort by").select_option("name")
    summary = page.locator("summary")
    summary.tap()
    assert page.get_by_label("Sort by").is_hidden()
    assert summary.inner_text() == "Sort and filter (2 in use)"
    assert page.locator(".card:visible").count() == 2
    assert violations(page) == []
    assert open_page(gallery, width=1280).get_by_label("Sort by").is_visible()
