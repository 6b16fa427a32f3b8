"""What a start costs: fresh processes, and the parts of the first explanation."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, machine
from benchmarks.results import Figure, publish

IMAGE = str(Path(__file__).parent.parent / "examples" / "cat.png")

PHASES = f"""
import sys, time
clock = time.perf_counter
framework, backend = sys.argv[1:]
start = clock(); __import__(framework); print(clock() - start)
start = clock(); import seewhy; classifier = seewhy.load("efficientnet-lite0", backend=backend); print(clock() - start)
start = clock(); explainer = seewhy.Explainer(classifier); explainer.explain([{IMAGE!r}]); print(clock() - start)
start = clock(); explainer.explain([{IMAGE!r}]); print(clock() - start)
"""

FRAMEWORKS = {
    "ONNX Runtime": ("onnxruntime", "onnx"),
    "TensorFlow": ("tensorflow", "tensorflow"),
    "JAX": ("jax", "jax"),
    "PyTorch": ("torch", "torch"),
}
"""What is imported, and the backend of the model."""

FIRST_HEATMAP = "first heatmap in a new process"
"""The sum of the first three phases."""

PHASE_NAMES = ("import it", "load the model", "first explanation: trace, compile, run", "second explanation")


def commands(folder: str) -> dict[str, tuple[str, ...]]:
    """Return whole processes, by what they do."""
    seewhy = str(Path(sys.executable).parent / "seewhy")
    return {
        "python that imports nothing": (sys.executable, "-c", ""),
        "import seewhy": (sys.executable, "-c", "import seewhy"),
        "seewhy --help": (seewhy, "--help"),
        "python that imports NumPy": (sys.executable, "-c", "import numpy"),
        "seewhy explain examples/cat.png": (seewhy, "explain", IMAGE, "--out", folder),
        "seewhy explain examples/cat.png --backend tensorflow": (
            *(seewhy, "explain", IMAGE, "--out", folder),
            *("--backend", "tensorflow"),
        ),
    }


def seconds(command: tuple[str, ...]) -> float:
    """Time a whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def phases(framework: str) -> dict[str, float]:
    """Time the parts of a first explanation, in a fresh process."""
    command = [sys.executable, "-c", PHASES, *FRAMEWORKS[framework]]
    surroundings = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    process = subprocess.run(command, check=True, capture_output=True, text=True, env=surroundings)
    seconds = [float(each) for each in process.stdout.split()]
    found = {f"{framework}: {name}": each for name, each in zip(PHASE_NAMES, seconds, strict=True)}
    return found | {f"{framework}: {FIRST_HEATMAP}": sum(seconds[:3])}


def figures(measured: dict[str, list[float]]) -> list[Figure]:
    """Return the seconds of the first heatmap in each framework."""
    found = []
    for framework in FRAMEWORKS:
        title = f"{framework}: {FIRST_HEATMAP}"
        figure: Figure = {"title": title, "first_heatmap": framework}
        figure["seconds"] = Spread.of(measured[title]).numbers()
        found.append(figure | {"goal": goal_of("start", figure)})
    return found


def run(starts: int) -> None:
    """Measure, and publish the table."""
    measured: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(starts):
            found = {name: seconds(command) for name, command in commands(folder).items()}
            for framework in FRAMEWORKS:
                found |= phases(framework)
            for name, each in found.items():
                measured.setdefault(name, []).append(each)
    goals = {each["title"]: each["goal"] for each in figures(measured)}
    rows = [
        {
            "": name,
            "s": Spread.of(times).shown(2),
            "goal": "" if goals.get(name) is None else f"{goals[name]:.1f}",
        }
        for name, times in measured.items()
    ]
    publish(
        "start",
        f"What a start costs: {starts} fresh processes; medians, and the middle half",
        rows,
        measured,
        machine("onnxruntime", "keras", "tensorflow", "jax", "torch"),
        figures(measured),
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=3, help="fresh processes of each kind (default 3)")
    run(parser.parse_args().starts)


if __name__ == "__main__":
    main()
