"""axe-core's rules, in light and dark colour schemes, wide and narrow."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.viewer.sample_explanation import sample_explanation

from seewhy.viewer.report import write_report

SCREENS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]


def violations(page):
    """Return the serious and critical violations that axe finds, with the elements that violate a rule."""
    rules = Axe().run(page).response["violations"]
    return [
        (rule["id"], node["html"])
        for rule in rules
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_an_image(open_page, cat_by_two_methods, tmp_path, width, scheme):
    page = open_page(
        write_report(cat_by_two_methods, tmp_path / "a.html", ["tabby", "tabby"]), width=width, scheme=scheme
    )
    page.locator("ol button").nth(0).click()
    page.locator("ol button").nth(1).click()
    page.get_by_label("Colours").select_option("jet")
    page.locator("ol button").nth(2).focus()
    assert violations(page) == []
    page.get_by_role("radio", name="Difference").check()
    page.get_by_role("radio", name="Contour").check()
    page.get_by_label("All side by side").check()
    assert violations(page) == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_a_gallery(open_page, tmp_path, width, scheme):
    explanations = [sample_explanation(number) for number in range(6)]
    page = open_page(write_report(explanations, tmp_path / "a.html", ["cat", "dog"] * 3), width=width, scheme=scheme)
    page.wait_for_selector(".card[data-drawn] >> nth=3")
    assert violations(page) == []
    page.locator(".card button").nth(1).click()
    page.wait_for_selector(".pane")
    assert violations(page) == []


def test_violations_are_detected(open_page, cat_report):
    page = open_page(cat_report)
    page.locator(".heading .detail").evaluate("detail => { detail.style.color = '#cccccc'; }")
    assert [rule for rule, _ in violations(page)] == ["color-contrast"]
