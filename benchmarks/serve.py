"""The web server under load: sixteen clients, against the same work done in this process; and the page in a browser.

Served and own work take turns, a few seconds each, so that whatever slows the machine slows both. It stops by itself.

    python -m benchmarks.serve              60 seconds of load, and as much of own work
    python -m benchmarks.serve --seconds 10

It needs what the tests need, the system's Chromium among it.
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
from seewhy.serve.request import Objective
from seewhy.serve.schemas import Fields
from seewhy.serve.served_models import Served
from seewhy.serve.uploads import Upload
from seewhy.serve.worker import Job

IMAGE = Path(__file__).parent.parent / "examples" / "cat.png"
TURN = 5.0
"""Seconds of load, and then of own work."""

FIELDS = Fields(targets="top-5", methods="gradcam")
SHOWN = 10
"""How many times a photo is chosen in the browser."""


@dataclass
class Load:
    """What clients were answered: the statuses, and how long each answer took, in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a server in a process of its own, and end it."""
    with TemporaryFile("a+b") as log:  # appended to: whoever reads it moves where the next would write
        process = subprocess.Popen([sys.executable, "-m", "seewhy", "serve", "--port", "0"], stderr=log)
        try:
            while True:
                log.seek(0)
                message_of = log.read().decode()
                if found := re.search(r"SeeWhy is at (\S+)", message_of):
                    break
                if process.poll() is not None:
                    sys.exit(f"The server did not start: {message_of}")
                time.sleep(0.1)
            yield process, found[1]
        finally:
            process.terminate()
            process.wait()


def load(address: str, clients: int, seconds: float, total: Load) -> float:
    """Let clients ask one after the other for so long, and return how many answers there were in a second."""
    form = FIELDS.model_dump(include={"targets", "methods"})
    files = {"image": ("cat.png", IMAGE.read_bytes())}
    request = httpx.Request("POST", f"{address}api/explain", files=files, data=form)
    body, kind = request.read(), request.headers["Content-Type"]  # made once: clients share the machine
    start, lock, before = time.monotonic(), threading.Lock(), total.statuses[200]

    def select_outputs() -> None:
        connection = http.client.HTTPConnection(request.url.host, request.url.port, timeout=60)
        while time.monotonic() < start + seconds:
            selected = time.perf_counter()
            connection.request("POST", request.url.path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            with lock:
                total.statuses[answer.status] += 1
                total.seconds.append(time.perf_counter() - selected)
        connection.close()

    threads = [threading.Thread(target=select_outputs) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (total.statuses[200] - before) / (time.monotonic() - start)


def own_work() -> Callable[[float], float]:
    """Return what does the same work in this process for so long, and returns how many times in a second."""
    model = Served("lite0", seewhy.load("efficientnet-lite0"), progress=lambda *_: None)
    upload = Upload(IMAGE.read_bytes(), "cat.png", {})
    objective = Objective.of(upload, FIELDS, {"lite0": model}, 50_000_000)

    def work(seconds: float) -> float:
        done, start = 0, time.monotonic()
        while time.monotonic() < start + seconds:
            objective.answer(Job(math.inf))
            done += 1
        return done / (time.monotonic() - start)

    return work


def memory(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a process, in megabytes."""
    if process.poll() is not None:
        sys.exit(f"The server has ended, with {process.returncode}.")
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def first_heatmaps(address: str) -> list[float]:
    """Choose a photo in a browser again and again, and return the seconds until its heatmap is on the screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        found = []
        for _ in range(SHOWN):
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
            found.append(page.evaluate("window.took"))
            page.close()
        browser.close()
    return found


def run(clients: int, seconds: float) -> None:
    """Measure, and publish the table."""
    work, total, ratios, memories = own_work(), Load(), [], []
    with server() as (process, address):
        shown = first_heatmaps(address)
        load(address, clients, TURN, Load())
        work(TURN)
        memories.append(memory(process))
        for _ in range(max(2, round(seconds / TURN))):
            ratios.append(load(address, clients, TURN, total) / work(TURN))
            memories.append(memory(process))
    late = statistics.quantiles(total.seconds, n=20)
    refused = total.statuses[503]
    failed = sum(total.statuses.values()) - total.statuses[200] - refused
    rows = [
        {"": "answers", "measured": f"{total.statuses[200]:,}; 503: {refused:,}; failures: {failed:,}"},
        {"": "served, of the same work done in-process", "measured": Spread.of(ratios).shown(2)},
        {"": "seconds until an answer, median and 95%", "measured": f"{late[9]:.2f}, {late[18]:.2f}"},
        {"": "memory, begin, end, most", "measured": f"{memories[0]:.0f}, {memories[-1]:.0f}, {max(memories):.0f} MB"},
        {"": "photo chosen to heatmap seen, median", "measured": f"{statistics.median(shown):.2f} s"},
        {"": "photo chosen to heatmap seen, longest", "measured": f"{max(shown):.2f} s"},
    ]
    measured = {"ratios": ratios, "memory": memories, "shown": shown, "seconds": total.seconds}
    publish("serve", f"{clients} clients for {seconds:g} s", rows, measured, machine("keras", "tensorflow", "uvicorn"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=16, help="that ask at once (default 16)")
    parser.add_argument("--seconds", type=float, default=60, help="of load (default 60)")
    given = parser.parse_args()
    run(given.clients, given.seconds)


if __name__ == "__main__":
    main()
