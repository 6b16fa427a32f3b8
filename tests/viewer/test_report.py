import json
import re

import numpy as np
import pytest
from tests.viewer.sample_explanation import sample_explanation

from seewhy.errors import InputError, OptionError, OutputError, SeewhyWarning
from seewhy.viewer.report import ReportWriter, write_report

HOSTILE = "<img src=x onerror=alert(1)><!--<script>\"'&.png"
ENDING = "</script><script>window.attacked = true</script>"


def test_a_report_opens_from_the_disk_and_loads_nothing(open_page, cat, tmp_path):
    """`open_page` is offline, and fails the test for any request and any logged error."""
    path = tmp_path / "a report.html"
    assert cat.report(path) == path
    page = open_page(path)
    assert page.title() == "SeeWhy: cat.png"
    assert page.locator("ol button").count() == 5
    assert path.stat().st_size < 500_000


def test_a_saved_html_is_a_report(tmp_path):
    assert (
        sample_explanation().save(tmp_path / "a.HTML").read_bytes()
        == sample_explanation().report(tmp_path / "b.htm").read_bytes()
    )


def test_the_page_may_run_its_own_script_and_no_other(open_page, tmp_path):
    path = sample_explanation().report(tmp_path / "a.html")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', path.read_text("utf-8"))[1]
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy
    page = open_page(path, expected="Content Security Policy")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          window.violated = new Promise((resolve) => addEventListener("securitypolicyviolation", resolve));
          document.body.append(script);
        }"""
    )
    assert page.evaluate("violated.then((event) => event.effectiveDirective)") == "script-src-elem"
    assert page.evaluate("window.ran === undefined")


@pytest.fixture
def hostile():
    """An explanation whose every name is an attack."""
    names = [HOSTILE, ENDING]
    whole = sample_explanation()
    targets = tuple(
        type(target)(target.index, name, target.score, target.probability, True)
        for target, name in zip(whole.targets, names, strict=False)
    )
    predictions = tuple(
        prediction._replace(name=name)
        for prediction, name in zip(whole.predictions, [*names, "&lt;b&gt;"], strict=False)
    )
    changes = {"heatmaps": whole.heatmaps[:2], "targets": targets, "predictions": predictions}
    return sample_explanation(
        **changes, source=f"folder/{HOSTILE}", layer="<b>conv</b>", title="<i>Grad</i>", model="<u>net</u>"
    )


def test_names_with_markup_are_shown_as_text(open_page, hostile, tmp_path):
    page = open_page(hostile.report(tmp_path / "a.html"))
    assert page.title() == f"SeeWhy: {HOSTILE}"
    assert page.locator("h2").inner_text() == HOSTILE
    assert page.locator(".view h3:visible").inner_text().startswith(HOSTILE)
    assert page.locator(".detail:visible").inner_text().startswith("<u>net</u> · <i>Grad</i> · layer <b>conv</b>")
    assert page.locator("ol .name").all_inner_texts()[1:] == [
        "</script><script>window.attacked = true</script>",
        "&lt;b&gt;",
    ]
    page.locator("ol button").nth(1).click()
    assert page.locator("img, b, i, u").count() == 0
    assert page.evaluate("window.attacked === undefined")


def test_names_with_markup_in_a_gallery_are_shown_as_text(open_page, hostile, tmp_path):
    with pytest.warns(SeewhyWarning, match="The label '<b>cat</b>' is not a class of the model"):
        report = write_report([hostile, sample_explanation(1)], tmp_path / "a.html", labels=[HOSTILE, "<b>cat</b>"])
    page = open_page(report)
    assert page.locator(".card .name").first.inner_text() == HOSTILE
    assert page.locator(".card .label").all_inner_texts() == [
        f"True class: {HOSTILE}",
        "True class: <b>cat</b>",
    ]
    assert page.get_by_label("Predicted class").locator("option").nth(1).inner_text() == HOSTILE
    assert page.locator("img, b").count() == 0


def test_the_json_in_the_page_contains_no_markup(hostile, tmp_path):
    text = hostile.report(tmp_path / "a.html").read_text("utf-8")
    blocks = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', text, re.DOTALL)
    assert [name for name, _ in blocks] == ["viewer-data", "image-0"]
    assert all("<" not in block for _, block in blocks)
    assert json.loads(blocks[1][1])["name"] == HOSTILE


def test_a_report_shows_which_predictions_are_correct(open_page, tmp_path):
    explanations = [sample_explanation(number) for number in range(3)]
    page = open_page(write_report(explanations, tmp_path / "a.html", labels=["cat", "dog", None]))
    assert page.locator(".card .verdict").all_inner_texts() == ["correct", "wrong"]
    page.locator(".card button").nth(1).click()
    assert page.locator("header .label").inner_text() == "True class: dog. Predicted: cat."


def test_without_scripts_the_report_says_so(open_page, tmp_path):
    page = open_page(sample_explanation().report(tmp_path / "a.html"), scripts=False, ready=None)
    assert page.locator("noscript p").is_visible()
    assert "This page needs JavaScript" in page.locator("noscript p").inner_text()


def test_a_photo_that_cannot_be_shown_is_reported(open_page, tmp_path):
    path = sample_explanation().report(tmp_path / "a.html")
    path.write_text(
        re.sub(r"data:image/png;base64,[^\"]+", "data:image/png;base64,AAAA", path.read_text("utf-8")), "utf-8"
    )
    page = open_page(path, ready="[role=alert]")
    assert page.locator("[role=alert]").inner_text().startswith("The photo of 000.png cannot be shown")


def test_images_are_added_one_by_one_with_small_photos(tmp_path):
    writer = ReportWriter(tmp_path / "deep" / "a.html", images=300)
    for number in range(3):
        writer.add([sample_explanation(number), sample_explanation(number, method="layercam")], label="cat")
    assert writer.images == 3
    text = writer.write().read_text("utf-8")
    assert text.count('id="image-') == 3
    assert "SeeWhy: 3 images" in text
    large = sample_explanation(image=np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), dtype=np.uint8))
    few, many = ReportWriter(tmp_path / "few.html", 2), ReportWriter(tmp_path / "many.html", 300)
    few.add([large])
    many.add([large])
    assert many.write().stat().st_size * 5 < few.write().stat().st_size


def test_invalid_arguments(tmp_path):
    with pytest.raises(OptionError, match=r"A report is an HTML page; given 'a.pdf', expected a name ending in .html"):
        sample_explanation().report(tmp_path / "a.pdf")
    with pytest.raises(InputError, match="nothing to show: no explanation was given"):
        write_report([], tmp_path / "a.html")
    with pytest.raises(InputError, match="no image was added"):
        ReportWriter(tmp_path / "a.html", 1).write()
    with pytest.raises(OptionError, match="labels has 1 entries for 2 explanations"):
        write_report([sample_explanation(), sample_explanation(1)], tmp_path / "a.html", labels=["cat"])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        sample_explanation().report(tmp_path / "file" / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
