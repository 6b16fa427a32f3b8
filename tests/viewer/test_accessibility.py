"""axe-core's rules, in light and dark, wide and narrow."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.viewer.made import made

from seewhy.viewer.report import write_report

SCREENS = [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark")]


def serious(page):
    """Return what axe finds serious or critical, with where it is."""
    found = Axe().run(page).response["violations"]
    return [
        (each["id"], node["html"])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_a_image(open_page, cat_by_two, tmp_path, width, scheme):
    page = open_page(write_report(cat_by_two, tmp_path / "a.html", ["tabby", "tabby"]), width=width, scheme=scheme)
    page.locator("ol button").nth(0).click()
    page.locator("ol button").nth(1).click()
    page.get_by_label("Colours").select_option("jet")
    page.locator("ol button").nth(2).focus()
    assert serious(page) == []
    page.get_by_role("radio", name="Difference").check()
    page.get_by_role("radio", name="Contour").check()
    page.get_by_label("All side by side").check()
    assert serious(page) == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_a_gallery(open_page, tmp_path, width, scheme):
    explanations = [made(number) for number in range(6)]
    page = open_page(write_report(explanations, tmp_path / "a.html", ["cat", "dog"] * 3), width=width, scheme=scheme)
    page.wait_for_selector(".card[data-drawn] >> nth=3")
    assert serious(page) == []
    page.locator(".card button").nth(1).click()
    page.wait_for_selector(".pane")
    assert serious(page) == []


def test_the_rules_are_looked_at(open_page, cat_report):
    page = open_page(cat_report)
    page.locator(".detail").evaluate("detail => { detail.style.color = '#cccccc'; }")
    assert [rule for rule, _ in serious(page)] == ["color-contrast"]
