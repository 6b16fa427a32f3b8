"""How long the viewer takes from a change to the pixels, in Chromium, on an image of 1,000 x 750 pixels.

    python -m benchmarks.viewer

It measures the processor time of the page's scripts, and needs what the tests need.
"""

import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright
from tests.browser import browser_options
from tests.viewer.sample_explanation import sample_explanation

from seewhy import Placement

WARM_UP, TIMES = 20, 60
GOAL = 16

CHANGES_SCRIPT = """([change, times]) => {
  const rows = [...document.querySelectorAll("ol button")].slice(0, 2);
  const sliders = [...document.querySelectorAll("input[type=range]")];
  for (let turn = 0; turn < times; turn += 1) {
    if (change === "class") {
      rows[turn % 2].dispatchEvent(new PointerEvent("pointerenter"));
    } else {
      const slider = sliders[change === "opacity" ? 0 : 1];
      slider.value = turn;
      slider.dispatchEvent(new Event("input"));
    }
  }
}"""


def measure(page: Page, change: str) -> float:
    """Return how long one change takes, in milliseconds."""
    page.evaluate(CHANGES_SCRIPT, [change, WARM_UP])
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = browser.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "ScriptDuration"))

    before = seconds()
    page.evaluate(CHANGES_SCRIPT, [change, TIMES])
    return 1000 * (seconds() - before) / TIMES


def main() -> None:
    """Measure each change, and print it."""
    image = np.random.default_rng(0).integers(0, 256, (750, 1000, 3), dtype=np.uint8)
    explanation = sample_explanation(image=image, placement=Placement((750, 1000), (0, 0, 750, 1000)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        page = playwright.chromium.launch(**browser_options()).new_page()
        page.goto(explanation.report(Path(folder) / "a.html").as_uri())
        page.wait_for_selector(".pane")
        for change in ("class", "opacity", "threshold"):
            print(f"{change}: {measure(page, change):.1f} ms (goal {GOAL})")


if __name__ == "__main__":
    main()
