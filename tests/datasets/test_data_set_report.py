"""The report of a data set in a browser: what it shows, its filters, missing images, and names that are attacks."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.datasets.handmade_output import handmade_output, random_maps
from tests.viewer.conftest import open_page  # noqa: F401 - a fixture
from tests.viewer.test_accessibility import violations

from seewhy import datasets

HOSTILE = "<img src=x onerror=alert(1)>&quot;'.png"
ENDING = "</script><script>window.attacked = true<!--"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """60 images of two classes; most of the first look at a corner, and two have no evidence."""
    maps, numbers = random_maps(1, 60, 2, tagged=0.8)
    maps[:2] = -1
    keys = [HOSTILE, *(f"{row:02}.png" for row in range(1, 60))]
    made = handmade_output(tmp_path_factory.mktemp("made"), maps[:, None], numbers, ["cat", ENDING], keys=keys)
    (made.path.parent / "images" / "07.png").unlink()
    return made


@pytest.fixture(scope="module")
def report(output, tmp_path_factory):
    return datasets.write_report(output, tmp_path_factory.mktemp("reports") / "a.html")


def expect_status(page, text):
    expect(page.locator("#viewer > .note")).to_have_text(text)


def test_it_names_the_cluster_and_shows_its_images(open_page, report):  # noqa: F811
    page = open_page(report, ready="#viewer[data-ready]")
    assert "cat: at the lower left" in page.locator(".suspected h3").all_inner_texts()
    expect_status(page, "60 of 60 images, 1 to 48 here")
    page.locator(".suspected button").click()
    words = page.locator(".suspected p").inner_text()
    expect_status(page, f"{re.search('In ([0-9]+) of', words)[1]} of 60 images")
    assert page.get_by_label("Cluster").input_value() == "cat, cluster 1"
    page.locator(".card button").first.click()
    page.wait_for_selector(".pane")
    assert page.get_by_label("Cluster").is_hidden()
    page.keyboard.press("Escape")
    page.get_by_label("Cluster").select_option("")
    page.get_by_label("Maps").select_option("none")
    expect_status(page, "2 of 60 images")
    page.get_by_label("Maps").select_option("any")
    page.get_by_label("Predicted class").select_option("cat")
    expect_status(page, "30 of 60 images")
    page.get_by_label("Search").fill("no such name")
    expect_status(page, "0 of 60 images")


def test_pages(open_page, report):  # noqa: F811
    page = open_page(report, ready="#viewer[data-ready]")
    page.get_by_role("button", name="Next page").click()
    expect_status(page, "60 of 60 images, 49 to 60 here")
    assert page.locator(".card").count() == 12
    assert page.get_by_role("button", name="Next page").is_disabled()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "status"


def test_names_with_markup_are_shown_as_text_and_a_missing_image_is_told(open_page, report):  # noqa: F811
    text = report.read_text("utf-8")
    assert "1 image cannot be read any more: the maps are shown alone." in text
    assert "<img src=x" not in text
    assert ENDING not in text
    page = open_page(report, ready="#viewer[data-ready]")
    page.get_by_label("Search").fill("onerror")
    expect(page.locator(".card .name")).to_have_text([HOSTILE])
    assert ENDING in page.locator("tbody th").all_inner_texts()
    page.get_by_label("Search").fill("07.png")
    expect_status(page, "1 of 60 images")
    page.wait_for_selector(".card[data-drawn]")
    assert page.locator(".card .label").last.inner_text() == "The map alone."
    page.locator(".card button").click()
    page.wait_for_selector(".pane")
    assert (
        page.locator("header .warning").inner_text().startswith("The map alone is shown, for the image is missing: 07")
    )
    assert page.evaluate("window.attacked === undefined")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_is_accessible(open_page, report, width, scheme):  # noqa: F811
    page = open_page(report, width=width, scheme=scheme, ready="#viewer[data-ready]")
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    page.evaluate("document.querySelector('#viewer').scrollIntoView()")
    page.wait_for_selector(".card[data-drawn] >> nth=3")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_sample_says_so(output, tmp_path):
    text = datasets.write_report(output, tmp_path / "a.html", sample=10, seed=3).read_text("utf-8")
    shown = len(re.findall('id="image-', text))
    assert f"{shown} of 60 images: 10 were drawn at random with the seed 3" in text


def test_a_source_that_is_gone_leaves_the_maps(tmp_path):
    maps, numbers = random_maps(0, 4, 2)
    output = handmade_output(tmp_path, maps[:, None], numbers, ["cat", "dog"])
    (output.path.parent / "images").rename(tmp_path / "moved")
    text = datasets.write_report(output, tmp_path / "a.html").read_text("utf-8")
    assert "4 images cannot be read any more" in text
    assert "The source cannot be read any more: There is no image at" in text
    assert "no class has 20 maps" in text


@pytest.mark.slow(reason="trains two models")
def test_a_planted_shortcut_of_a_trained_model_is_named_and_without_it_none_is(tmp_path):
    from benchmarks.shortcut import energy_on_tag, explain

    for share in (0.6, 0.0):
        output = explain(tmp_path / str(share), 1, share=share)
        overview = datasets.make_overview(output)
        if share:
            ((each, cluster),) = overview.shortcuts
            assert each.name == "disc"
            assert np.mean(["tag" in overview.index.key(row) for row in cluster.rows]) > 0.9
            assert energy_on_tag(output, cluster.rows) > 0.5
        else:
            assert overview.shortcuts == []
