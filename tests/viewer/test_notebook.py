import base64
import html
import json
import re
import sys
import warnings

import pytest
from tests.viewer.sample_explanation import sample_explanation

import seewhy
from seewhy.errors import InputError, MissingExtraError, OptionError
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.viewer import notebook
from seewhy.viewer.assets import bundle, style_sheet
from seewhy.viewer.viewer_data import viewer_data

HOSTILE = '</script><img src=x onerror="window.attacked = true"><!-- \''


def notebook_page(tmp_path, content):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>A notebook</title>{content}", "utf-8")
    return path


def test_a_notebook_shows_the_viewer(open_page, cat, tmp_path):
    content = cat._repr_html_()
    assert len(content) < 110_000
    page = open_page(notebook_page(tmp_path, content), ready="iframe", expected="srcdoc")
    frame = page.frame_locator("iframe")
    frame.locator(".pane").wait_for()
    assert page.locator("img").count() == 0
    frame.locator("ol button").nth(2).hover()
    assert frame.locator(".view h3:visible").inner_text().startswith("tabby")
    with page.expect_download() as waiting:
        frame.get_by_role("button", name="Save as PNG").click()
    assert waiting.value.suggested_filename == "cat_gradcam_tabby.png"


def test_without_scripts_it_shows_a_small_image(open_page, cat, tmp_path):
    page = open_page(notebook_page(tmp_path, cat._repr_html_()), scripts=False, ready=None)
    image = page.locator("img")
    assert image.get_attribute("alt").endswith("cat.png")
    assert "evidence for tiger cat" in image.get_attribute("alt")
    assert page.locator("iframe").count() == 0
    bounds = image.bounding_box()
    assert 400 < bounds["width"] <= 640
    assert bounds["height"] > 200


def test_two_explanations_in_one_notebook_have_different_ids():
    ids = [re.search(r'<div id="([^"]+)"', sample_explanation()._repr_html_())[1] for _ in range(2)]
    assert ids[0] != ids[1]


def test_names_with_markup_are_shown_as_text(open_page, tmp_path):
    target = sample_explanation().targets[0]
    targets = (type(target)(0, HOSTILE, 1.0, 0.5, True), *sample_explanation().targets[1:])
    hostile = sample_explanation(targets=targets, layer=HOSTILE, title=HOSTILE, source=HOSTILE.replace("/", ""))
    content = hostile._repr_html_()
    assert content.count("<script>") == content.count("</script>") == 1
    page = open_page(notebook_page(tmp_path, content), ready="iframe")
    page.frame_locator("iframe").locator(".pane").wait_for()
    assert page.locator("img").count() == 0
    assert page.evaluate("window.attacked === undefined")
    still = open_page(notebook_page(tmp_path, content), scripts=False, ready=None)
    assert html.unescape(still.locator("img").get_attribute("alt")).count(HOSTILE) == 3


@pytest.fixture
def quiet_widgets():
    """Let ipywidgets search for a kernel, which does not exist here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.usefixtures("quiet_widgets")
def test_a_widget_has_the_viewer_and_its_data():
    widget = seewhy.view([sample_explanation(), sample_explanation(1)], labels=["cat", "dog"])
    assert json.loads(json.dumps(widget.data)) == viewer_data(
        [sample_explanation(), sample_explanation(1)], labels=["cat", "dog"]
    )
    assert widget.trait_metadata("data", "sync")
    assert str(widget._esm) == bundle("widget.js")
    assert str(widget._css) == style_sheet("viewer.css")
    assert len(seewhy.view(sample_explanation()).data["images"]) == 1


@pytest.mark.usefixtures("quiet_widgets")
def test_a_widget_is_stored_with_what_is_shown_without_widgets():
    """Of the first explanation, and only for as long as the widget shows it."""
    widget = seewhy.view([sample_explanation(), sample_explanation(1), sample_explanation(2)])
    stored, _ = widget._repr_mimebundle_()
    without_id = re.compile("seewhy-[0-9a-f]{16}").sub
    expected = sample_explanation()._repr_html_() + "<p>And 2 more explanations, in the widget.</p>\n"
    assert without_id("", stored["text/html"]) == without_id("", expected)
    assert stored["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert seewhy.view(sample_explanation())._repr_mimebundle_()[0]["text/html"].count("in the widget") == 0
    widget.data = viewer_data([sample_explanation(1)])
    assert "text/html" not in widget._repr_mimebundle_()[0]


@pytest.mark.usefixtures("quiet_widgets")
def test_a_widget_of_a_sample_of_several_images_is_stored_with_an_image():
    sample = MultiImageExplanation({"left": sample_explanation(), "right": sample_explanation()})
    stored, _ = seewhy.view(sample)._repr_mimebundle_()
    assert base64.b64decode(stored["image/jpeg"]) == sample._repr_jpeg_()


def test_the_widget_s_script_shows_its_data_and_its_updates(open_page, slide, tmp_path):
    """As anywidget calls it: `render` receives the model and returns a function that cleans up."""
    datasets = [json.dumps(viewer_data([sample_explanation(number)])) for number in (0, 1)]
    script = bundle("widget.js").replace("export default { render };", "window.widget = { render };")
    path = notebook_page(
        tmp_path,
        f"""<style>{style_sheet("viewer.css")}</style><div id="el"></div><script type="module">{script}
        const listeners = new Map();
        const datasets = [{datasets[0]}, {datasets[1]}];
        window.shown = 0;
        window.listeners = listeners;
        const model = {{
          get: () => datasets[window.shown],
          on: (name, listener) => listeners.set(name, listener),
          off: (name, listener) => listeners.get(name) === listener && listeners.delete(name),
        }};
        window.end = widget.render({{ model, el: document.getElementById("el") }});
        </script>""",
    )
    page = open_page(path)
    assert page.locator("h2").inner_text() == "000.png"
    slide(page, "Opacity", 70)
    page.evaluate("() => { window.shown = 1; listeners.get('change:data')(); }")
    page.get_by_role("heading", name="001.png").wait_for()
    assert page.get_by_label("Opacity").input_value() == "70"  # which is kept
    page.evaluate("end()")
    assert page.locator(".pane").count() == 0
    assert page.evaluate("listeners.size") == 0


def test_without_anywidget(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    notebook._widget_class.cache_clear()
    with pytest.raises(
        MissingExtraError, match=r"anywidget is not installed. Install it with: pip install .*\[notebook\]'"
    ):
        seewhy.view(sample_explanation())
    notebook._widget_class.cache_clear()


@pytest.mark.usefixtures("quiet_widgets")
def test_invalid_arguments():
    with pytest.raises(InputError, match="nothing to show"):
        seewhy.view([])
    with pytest.raises(OptionError, match="labels has 2 entries for 1 explanations"):
        seewhy.view(sample_explanation(), labels=["cat", "dog"])
