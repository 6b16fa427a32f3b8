"""The system's Chromium, in which pages are looked at."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def browser_options():
    """Return what Playwright starts the browser with; skip the test where there is none, but in CI fail it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        said = "This test looks at a page in Chromium, and there is none. Install it: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return {"executable_path": path, "args": ["--no-sandbox"] if os.geteuid() == 0 else []}
