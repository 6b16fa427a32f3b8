"""What another shape of the input costs in one process: TensorFlow traces and JAX compiles once for each shape.

In fresh processes: the first explanation of a model, then those of images of other sizes, then the first size again.
"""

import argparse
import json
import subprocess
import sys
import time

from benchmarks.cases import PACKAGES
from benchmarks.forwards import FRAMEWORKS, subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, machine
from benchmarks.results import Figure, publish

FRAMEWORK_NAMES = ("keras-tensorflow", "keras-jax", "torch")
MODEL = "MobileNetV2"
SIDES = {"first shape": 224, "second shape": 192, "third shape": 256, "fourth shape": 160, "the first again": 224}


def measure(framework: str) -> dict[str, float]:
    """Return the seconds of the explanation of an image of each size, in this process."""
    what = subject(framework, MODEL, any_size=True)
    import seewhy

    explainer, seconds = seewhy.Explainer(what.model, "gradcam"), {}
    for name, side in SIDES.items():
        batch = what.with_batch(1, side).batch
        start = time.perf_counter()
        explainer.heatmaps(batch, [0])
        seconds[name] = time.perf_counter() - start
    return seconds


def figures(measured: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """Return the seconds of each shape, and as times those of the first."""
    found = []
    for framework, starts in measured.items():
        for name in SIDES:
            figure: Figure = {"title": f"{FRAMEWORKS[framework]}: {name}", "framework": framework, "shape": name}
            figure["seconds"] = Spread.of([each[name] for each in starts]).numbers()
            figure["first"] = Spread.of([each[name] / each["first shape"] for each in starts]).numbers()
            found.append(figure | {"goal": goal_of("shapes", figure)})
    return found


def run(starts: int, frameworks: tuple[str, ...]) -> None:
    """Measure in fresh processes, and publish the table."""
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in frameworks}
    for _ in range(starts):
        for framework in frameworks:
            command = [sys.executable, "-m", "benchmarks.shapes", "--one", framework]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            measured[framework].append(json.loads(output.splitlines()[-1]))
    found = figures(measured)
    rows = [
        {
            "": each["title"],
            "s": Spread(*each["seconds"]).shown(2),
            "/ first shape": Spread(*each["first"]).shown(2),
            "goal": "" if each["goal"] is None else f"{each['goal']:.2f}",
        }
        for each in found
    ]
    title = f"What another shape costs in one process: {MODEL}, one class, {starts} fresh processes"
    publish("shapes", title, rows, measured, machine(*PACKAGES), found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=3, help="fresh processes of each kind, two or more (default 3)")
    parser.add_argument("--frameworks", nargs="*", choices=FRAMEWORK_NAMES, default=FRAMEWORK_NAMES)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # print the seconds of one framework as JSON
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    run(max(given.starts, 2), tuple(given.frameworks))


if __name__ == "__main__":
    main()
