"""What many tests share: the example images and the default model."""

import gc
import locale
import sys
from pathlib import Path

import pytest

from tests.browser import browser_options, import_axe

EXAMPLES = Path(__file__).parent.parent / "examples"

if locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8"):
    import_axe()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Exclude what the imported packages make from garbage collection: a million objects, which are never freed."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def lite0():
    """EfficientNet-Lite0 with its real weights."""
    import seewhy

    return seewhy.load("efficientnet-lite0")


@pytest.fixture(scope="session")
def keras_lite0():
    """The same model in Keras, on the backend that Keras is set to."""
    from seewhy.models import efficientnet_lite0_backends

    return efficientnet_lite0_backends.build(True, efficientnet_lite0_backends.KERAS)


@pytest.fixture(scope="session")
def lite0_explainer(lite0):
    import seewhy

    return seewhy.Explainer(lite0)


@pytest.fixture
def paper_model():
    """The model of tests/sample_models.py that can be checked on paper, ending in a softmax."""
    from tests.sample_models import paper_sequential

    return paper_sequential()


@pytest.fixture(autouse=True)
def seeded():
    """Make Keras's random weights the same in every run, where Keras is used at all."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture(scope="module")
def chromium():
    """The browser; of a module each, as an event loop runs for as long as it does, and other tests have theirs."""
    from playwright.sync_api import sync_playwright

    options = browser_options()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()
