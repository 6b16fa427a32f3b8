"""What a start costs: fresh processes, and the parts of the first explanation."""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.interleaved import machine
from benchmarks.results import publish

PICTURE = str(Path(__file__).parent.parent / "examples" / "cat.png")

PHASES = f"""
import time
clock = time.perf_counter
start = clock(); import tensorflow, keras; print(clock() - start)
start = clock(); import seewhy; classifier = seewhy.load("efficientnet-lite0"); print(clock() - start)
start = clock(); explainer = seewhy.Explainer(classifier); explainer.explain([{PICTURE!r}]); print(clock() - start)
start = clock(); explainer.explain([{PICTURE!r}]); print(clock() - start)
"""

PHASE_NAMES = (
    "import TensorFlow",
    "then: load the network",
    "then: first explanation: trace, compile, run",
    "then: second explanation",
)


def commands() -> dict[str, tuple[str, ...]]:
    """Return whole processes, by what they do."""
    seewhy = str(Path(sys.executable).parent / "seewhy")
    return {
        "python that imports nothing": (sys.executable, "-c", ""),
        "import seewhy": (sys.executable, "-c", "import seewhy"),
        "seewhy --help": (seewhy, "--help"),
        "seewhy explain examples/cat.png": (seewhy, "explain", PICTURE, "--out", "demo"),
    }


def seconds(command: tuple[str, ...]) -> float:
    """Time a whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def phases() -> list[float]:
    """Time the parts of a first explanation, in a fresh process."""
    found = subprocess.run([sys.executable, "-c", PHASES], check=True, capture_output=True, text=True)
    return [float(each) for each in found.stdout.split()]


def run(starts: int) -> None:
    """Measure, and publish the table."""
    measured: dict[str, list[float]] = {name: [] for name in (*commands(), *PHASE_NAMES)}
    for _ in range(starts):
        for name, command in commands().items():
            measured[name].append(seconds(command))
        for name, each in zip(PHASE_NAMES, phases(), strict=True):
            measured[name].append(each)
    rows = [
        {
            "": name,
            "s, median": f"{statistics.median(times):.2f}",
            "least": f"{min(times):.2f}",
            "most": f"{max(times):.2f}",
        }
        for name, times in measured.items()
    ]
    publish("start", f"What a start costs: {starts} fresh processes", rows, measured, machine("keras", "tensorflow"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5, help="fresh processes of each kind (default 5)")
    run(parser.parse_args().starts)


if __name__ == "__main__":
    main()
