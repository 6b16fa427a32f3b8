"""The system's Chromium for tests of pages, and what to do if a program is not installed."""

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def skip_without(program):
    """Skip a test that needs a program; fail it in CI, where the program is installed."""
    message = f"This test needs {program}, which is not installed. On Debian and Ubuntu: apt-get install {program}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def browser_options():
    """Return the options with which Playwright launches the browser; skip the test if there is none, fail it in CI."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        skip_without("chromium")
    return {"executable_path": path, "args": ["--no-sandbox"]}  # it fails as root and in containers; the pages are ours


def import_axe():
    """Import axe-core's package, whose script is UTF-8 and is read in the encoding of the locale."""
    read_text = Path.read_text
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "read_text", lambda path, encoding="utf-8": read_text(path, encoding))
        import axe_playwright_python.base  # noqa: F401
