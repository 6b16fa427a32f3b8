"""The system's Chromium, in which pages are looked at; and what to do where a program is not there."""

import os
import shutil
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def not_there(program):
    """Skip the test, which needs a program of the system's; but in CI, which installs it, fail."""
    said = f"This test needs {program}, which is not installed. On Debian and Ubuntu: apt-get install {program}"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


def browser_options():
    """Return what Playwright starts the browser with; skip the test where there is none, but in CI fail it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        not_there("chromium")
    return {"executable_path": path, "args": ["--no-sandbox"]}  # it fails as root and in containers; the pages are ours


def import_axe():
    """Import axe-core's package, which reads its script in the locale's encoding, though that is not UTF-8."""
    read_text = Path.read_text
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "read_text", lambda path, encoding="utf-8": read_text(path, encoding))
        import axe_playwright_python.base  # noqa: F401
