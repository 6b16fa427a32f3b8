"""The system's Chromium, in which pages are looked at; and what to do where a program is not there."""

import os
import shutil

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
    return {"executable_path": path, "args": ["--no-sandbox"] if os.geteuid() == 0 else []}
