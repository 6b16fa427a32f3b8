"""Take the screenshots of the README and the documentation: the viewer in a report, and the web page.

    python docs_build/screenshots.py

This needs Chromium and the packages of the tests. The images are kept in docs/screenshots, because a README needs its
images where it is read. Take them again when the pages change.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "docs" / "screenshots"
SIZE = {"width": 1240, "height": 760}
ADDRESS = re.compile(r"http://\S+")


def main() -> None:
    """Take all screenshots."""
    SCREENSHOTS.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or sys.exit("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        take_report(browser, Path(folder))
        take_page(browser, Path(folder))
        browser.close()


def take_report(browser: Browser, folder: Path) -> None:
    """Take the viewer of a report with one image, in dark colours."""
    photos = [str(ROOT / "examples" / name) for name in ("cat.png", "coffee.png", "rocket.jpg")]
    command = [sys.executable, "-m", "seewhy", "explain", *photos, "--format", "html", "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own command
    page = browser.new_page(viewport=SIZE, color_scheme="dark", device_scale_factor=1)
    page.goto((folder / "report.html").as_uri())
    page.wait_for_selector(".card canvas")
    page.get_by_text("coffee.png").click()
    page.wait_for_selector(".pane canvas")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "viewer.png")
    save(folder / "viewer.png")


def take_page(browser: Browser, folder: Path) -> None:
    """Take the web page after it has explained a photo."""
    with running_server() as address:
        page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1)
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.set_input_files("input[type=file]", ROOT / "examples" / "cat.png")
        page.wait_for_selector(".pane canvas", timeout=60_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=folder / "page.png")
    save(folder / "page.png")


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """Serve the page, yield its URL, and stop the server, also after an error: its process would be waited for."""
    command = [sys.executable, "-m", "seewhy", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603  # our own command
        try:
            lines = list[str]()
            for line in server.stderr or ():
                lines.append(line)
                if match := ADDRESS.search(line):
                    break
            else:
                sys.exit("The server did not start:\n" + "".join(lines))
            yield match[0]
        finally:
            server.terminate()


def save(path: Path) -> None:
    """Write a screenshot as WebP, a fifth of the size of PNG."""
    Image.open(path).convert("RGB").save(SCREENSHOTS / f"{path.stem}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
