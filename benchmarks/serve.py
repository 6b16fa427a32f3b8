"""The web server under load: sixteen clients, against the same work done in this process; and the page in a browser.

Served and in-process work alternate, a few seconds each, so that whatever slows the machine slows both.

    python -m benchmarks.serve              60 seconds of load, and as much in-process work
    python -m benchmarks.serve --seconds 10

It needs what the tests need, including the system's Chromium.
"""

import argparse
import http.client
import math
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

import httpx
from benchmarks.interleaved import Spread, machine
from benchmarks.results import publish
from playwright.sync_api import sync_playwright

import seewhy
from seewhy.serve.request import ExplainRequest
from seewhy.serve.schemas import ExplainFields
from seewhy.serve.served_models import ServedModel
from seewhy.serve.uploads import Upload
from seewhy.serve.worker import Job

IMAGE = Path(__file__).parent.parent / "examples" / "cat.png"
TURN = 5.0
"""Seconds of load, and then of in-process work."""

FIELDS = ExplainFields(targets="top-5", methods="gradcam")
BROWSER_RUNS = 10
"""How many times an image is chosen in the browser."""


@dataclass
class Load:
    """The responses that clients got: their statuses, and how long each took, in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a server in a separate process, and terminate it."""
    with TemporaryFile("a+b") as log:  # opened for appending, as reading moves the position
        process = subprocess.Popen([sys.executable, "-m", "seewhy", "serve", "--port", "0"], stderr=log)
        try:
            while True:
                log.seek(0)
                output = log.read().decode()
                if match := re.search(r"SeeWhy is running at (\S+)", output):
                    break
                if process.poll() is not None:
                    sys.exit(f"The server did not start: {output}")
                time.sleep(0.1)
            yield process, match[1]
        finally:
            process.terminate()
            process.wait()


def load(address: str, clients: int, seconds: float, total: Load) -> float:
    """Let each client send one request after another for so long, and return the responses per second."""
    form = FIELDS.model_dump(include={"targets", "methods"})
    files = {"image": ("cat.png", IMAGE.read_bytes())}
    request = httpx.Request("POST", f"{address}api/explain", files=files, data=form)
    body, media_type = request.read(), request.headers["Content-Type"]  # encoded once: clients share the machine
    start, lock, before = time.monotonic(), threading.Lock(), total.statuses[200]

    def send_requests() -> None:
        connection = http.client.HTTPConnection(request.url.host, request.url.port, timeout=60)
        while time.monotonic() < start + seconds:
            sent = time.perf_counter()
            connection.request("POST", request.url.path, body, {"Content-Type": media_type})
            response = connection.getresponse()
            response.read()
            with lock:
                total.statuses[response.status] += 1
                total.seconds.append(time.perf_counter() - sent)
        connection.close()

    threads = [threading.Thread(target=send_requests) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (total.statuses[200] - before) / (time.monotonic() - start)


def in_process_work() -> Callable[[float], float]:
    """Return a function that does the same work in this process for so long, and returns the requests per second."""
    model = ServedModel("lite0", seewhy.load("efficientnet-lite0"), progress=lambda *_: None)
    upload = Upload(IMAGE.read_bytes(), "cat.png", {})
    explain_request = ExplainRequest.parse(upload, FIELDS, {"lite0": model}, 50_000_000)

    def work(seconds: float) -> float:
        done, start = 0, time.monotonic()
        while time.monotonic() < start + seconds:
            explain_request.run(Job(math.inf))
            done += 1
        return done / (time.monotonic() - start)

    return work


def memory(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a process, in megabytes."""
    if process.poll() is not None:
        sys.exit(f"The server has exited with code {process.returncode}.")
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def first_heatmaps(address: str) -> list[float]:
    """Choose an image in a browser, and return the seconds until its heatmap is on the screen, for each run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        seconds = []
        for _ in range(BROWSER_RUNS):
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("html[data-ready]")
            page.evaluate(
                """() => {
                    const chosen = new Promise((resolve) =>
                        document.getElementById("file").addEventListener("change", () => resolve(performance.now())));
                    const shown = new Promise((resolve) => document.addEventListener("seewhy-ready", () =>
                        requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))));
                    window.took = Promise.all([chosen, shown]).then(([start, end]) => (end - start) / 1000);
                }"""
            )
            page.set_input_files("#file", IMAGE)
            seconds.append(page.evaluate("window.took"))
            page.close()
        browser.close()
    return seconds


def run(clients: int, seconds: float) -> None:
    """Measure, and publish the table."""
    work, total, ratios, memories = in_process_work(), Load(), [], []
    with server() as (process, address):
        shown = first_heatmaps(address)
        load(address, clients, TURN, Load())
        work(TURN)
        memories.append(memory(process))
        for _ in range(max(2, round(seconds / TURN))):
            ratios.append(load(address, clients, TURN, total) / work(TURN))
            memories.append(memory(process))
    percentiles = statistics.quantiles(total.seconds, n=20)
    refused = total.statuses[503]
    failed = sum(total.statuses.values()) - total.statuses[200] - refused
    rows = [
        {"": "responses", "measured": f"{total.statuses[200]:,}; 503: {refused:,}; failures: {failed:,}"},
        {"": "throughput relative to in-process work", "measured": Spread.of(ratios).shown(2)},
        {
            "": "response time in seconds, median and 95th percentile",
            "measured": f"{percentiles[9]:.2f}, {percentiles[18]:.2f}",
        },
        {
            "": "memory at the start, at the end, maximum",
            "measured": f"{memories[0]:.0f}, {memories[-1]:.0f}, {max(memories):.0f} MB",
        },
        {"": "image chosen to heatmap shown, median", "measured": f"{statistics.median(shown):.2f} s"},
        {"": "image chosen to heatmap shown, maximum", "measured": f"{max(shown):.2f} s"},
    ]
    measured = {"ratios": ratios, "memory": memories, "shown": shown, "seconds": total.seconds}
    publish("serve", f"{clients} clients for {seconds:g} s", rows, measured, machine("keras", "tensorflow", "uvicorn"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=16, help="number of concurrent clients (default 16)")
    parser.add_argument("--seconds", type=float, default=60, help="seconds of load (default 60)")
    arguments = parser.parse_args()
    run(arguments.clients, arguments.seconds)


if __name__ == "__main__":
    main()
