"""Pages in the system's Chromium, which must not load anything or log errors."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PATIENCE = 10_000
"""Milliseconds until a missing element is a failure."""


@pytest.fixture
def open_page(chromium):
    """Open a page from the disk, offline; the test fails if the page requests anything or logs anything."""
    contexts, problems = [], []

    def open_page(path, *, width=1000, height=800, ready=".pane, .card", expected=None, touch=False, **options):
        """`options` are `scheme` and `scripts`; `touch` is a phone, on which nothing hovers."""
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=options.get("scheme", "light"),
            java_script_enabled=options.get("scripts", True),
            has_touch=touch,
            is_mobile=touch,
        )
        context.set_offline(True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        url = path if isinstance(path, str) else Path(path).as_uri()
        page.on("console", lambda message: record(message.text))
        page.on("pageerror", lambda error: record(str(error)))
        page.on("request", lambda request: record(request.url) if is_external(request.url, url) else None)

        def record(problem):
            if expected is None or expected not in problem:
                problems.append(problem)

        page.goto(url)
        if ready is not None:
            page.wait_for_selector(ready)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def is_external(url, page):
    return url != page and not url.startswith(("data:", "blob:"))


@pytest.fixture
def canvas_pixels():
    """Read a canvas, uint8 (H, W, 3)."""

    def canvas_pixels(canvas):
        url = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))

    return canvas_pixels


@pytest.fixture
def slide():
    """Move a slider, as dragging does."""

    def slide(page, name, percent):
        page.get_by_label(name).evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", str(percent)
        )

    return slide


@pytest.fixture(scope="session")
def cat(lite0_explainer, examples):
    """The cat and its five most probable classes; the model saw the middle of the photo."""
    return lite0_explainer.explain([examples / "cat.png"], "top-5")[0]


@pytest.fixture(scope="session")
def cat_by_two_methods(lite0, cat, examples):
    """The same, and signed heatmaps of a second method."""
    import seewhy

    explainer = seewhy.Explainer(lite0, "hirescam", signed=True)
    targets = ["tiger cat", "stingray"]
    return [cat, *explainer.explain([examples / "cat.png"], targets)]


@pytest.fixture(scope="session")
def cat_report(cat, tmp_path_factory):
    return cat.report(tmp_path_factory.mktemp("reports") / "cat.html")
