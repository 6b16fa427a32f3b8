"""Takes the screenshots of the README and the documentation: the viewer in a report, and the web page.

    python docs_build/screenshots.py

It needs Chromium, and the packages that the tests need. The images are kept in docs/screenshots, as a README has to
have them where it is read. Take them anew when the pages change.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "docs" / "screenshots"
SIZE = {"width": 1240, "height": 760}
ADDRESS = re.compile(r"http://\S+")


def main() -> None:
    """Take all of them."""
    SCREENSHOTS.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or sys.exit("Chromium is needed: apt-get install chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        take_report(browser, Path(folder))
        take_page(browser, Path(folder))
        browser.close()


def take_report(browser: Browser, folder: Path) -> None:
    """Take the viewer as it shows one image of a report, in dark colours, with two classes beside each other."""
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
    keep(folder / "viewer.png")


def take_page(browser: Browser, folder: Path) -> None:
    """Take the web page when it has explained a photo."""
    command = [sys.executable, "-m", "seewhy", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603  # our own command
        address = next(found[0] for line in server.stderr or () if (found := ADDRESS.search(line)))
        page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1)
        page.goto(address)
        page.set_input_files("input[type=file]", ROOT / "examples" / "cat.png")
        page.wait_for_selector(".pane canvas", timeout=60_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=folder / "page.png")
        server.terminate()
    keep(folder / "page.png")


def keep(path: Path) -> None:
    """Write a screenshot as WebP, a fifth of the size."""
    Image.open(path).convert("RGB").save(SCREENSHOTS / f"{path.stem}.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
