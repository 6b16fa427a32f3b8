"""The widget in a real JupyterLab, and what is left of the notebook in HTML that nbconvert writes."""

import base64
import io
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

SECONDS = 120
"""The longest that a step in JupyterLab may take: the kernel starts, and imports what the model needs."""

CELLS = [
    "from importlib.resources import files\n\nimport seewhy\n\n"
    'photo = files("seewhy.serve.page") / "samples" / "cat.jpg"\n'
    'explanation = seewhy.explain("efficientnet-lite0", photo, "top-5")',
    "explanation",
    "seewhy.view([explanation, explanation])",
]
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
WIDGET = "application/vnd.jupyter.widget-view+json"


def pixels(canvas):
    url = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")).astype(int)


def seen(viewer):
    """Point at the first and the third class, and return the title and the pixels of what each shows."""
    shown = []
    for number in (0, 2):
        viewer.locator("ol button").nth(number).hover()
        title = viewer.locator(".view h3:visible").first.inner_text()
        shown.append((title, pixels(viewer.locator(".view canvas:visible").first)))
    return shown


def check_seen(shown):
    (first, tiger_cat), (third, tabby) = shown
    assert first.startswith("tiger cat")
    assert third.startswith("tabby")
    assert tiger_cat.std() > 10
    assert np.abs(tiger_cat - tabby).max() > 50


@pytest.fixture(scope="module")
def in_lab(chromium, lab, folder):
    """Run a notebook in JupyterLab and save it; return its path, and what the widget and the other viewer showed."""
    path = folder / "widget.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in CELLS], metadata=KERNEL), path)
    page = chromium.new_page(viewport={"width": 1400, "height": 2400})
    page.set_default_timeout(SECONDS * 1000)
    errors, external = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: external.append(request.url) if is_external(request.url, lab) else None)
    page.goto(f"{lab}/tree/{path.name}")
    page.locator(".jp-Cell").nth(len(CELLS) - 1).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
    widget = page.locator(".jp-OutputArea-output", has=page.locator(".pane, .card"))  # the other viewer is in a frame
    widget.wait_for()
    shown = seen(widget), seen(page.frame_locator(".jp-OutputArea-output iframe"))
    page.keyboard.press("Control+s")
    page.wait_for_function("() => !document.querySelector('.lm-TabBar-tab.jp-mod-dirty')")
    page.close()
    assert errors == external == []
    return path, shown


def is_external(url, lab):
    return not url.startswith((lab.removesuffix("/lab"), "data:", "blob:", "about:"))


@pytest.fixture(scope="module")
def as_html(in_lab, lab_environment):
    path, _ = in_lab
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(path)]
    subprocess.run(command, env=lab_environment, check=True, capture_output=True)
    return path.with_suffix(".html")


def test_pointing_at_a_class_changes_the_canvas(in_lab):
    _, (widget, inline) = in_lab
    check_seen(widget)
    check_seen(inline)


def test_the_notebook_stores_the_widget_and_what_is_shown_without_it(in_lab):
    path, _ = in_lab
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata  # JupyterLab stores their data only where a setting says so
    _, (inline,), (widget,) = (cell.outputs for cell in notebook.cells)
    assert WIDGET in widget.data
    assert "And 1 more explanation, in the widget." in widget.data["text/html"]
    assert WIDGET not in inline.data
    assert path.stat().st_size < 500_000


def test_nbconvert_keeps_two_viewers_that_work_offline(as_html, chromium):
    context = chromium.new_context(viewport={"width": 1200, "height": 2400})
    context.set_offline(True)
    page = context.new_page()
    page.goto(as_html.as_uri())
    frames = page.locator(".jp-OutputArea-output iframe")
    frames.nth(1).wait_for()
    assert frames.count() == 2
    for number in range(2):
        check_seen(seen(page.frame_locator(".jp-OutputArea-output iframe").nth(number)))
    context.close()


def test_without_scripts_nbconvert_keeps_two_images(as_html, chromium):
    context = chromium.new_context(java_script_enabled=False)
    context.set_offline(True)
    page = context.new_page()
    page.goto(as_html.as_uri())
    images = page.locator(".jp-OutputArea-output img[alt*='evidence for tiger cat']")
    assert images.count() == 2
    for number in range(2):
        assert images.nth(number).is_visible()
        assert images.nth(number).bounding_box()["width"] > 400
    context.close()
