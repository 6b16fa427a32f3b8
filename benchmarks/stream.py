"""The throughput of `Explainer.stream`: JPEG files in, explanations out, none drawn, beside the bare forward passes.

In one process for each framework, with ResNet-50, images of 640 x 480, and batches of 16.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks.cases import PACKAGES
from benchmarks.forwards import FRAMEWORKS, subject
from benchmarks.interleaved import Spread, Times, Variants, machine, ratios
from benchmarks.pipeline import BATCH_SIZE, NAMES, make_images, processor_seconds
from benchmarks.results import Figure, publish

FRAMEWORK_NAMES = ("torch", "keras-tensorflow", "keras-jax")
MODEL, SIZE = "ResNet50", (640, 480)


def measure(framework: str, count: int, rounds: int) -> dict[str, Times]:
    """Measure in turns, in milliseconds on the wall and of the processor, in this process."""
    what = subject(framework, MODEL)
    import seewhy

    preprocessing = seewhy.Preprocessing(size=(224, 224), crop=0.875, mean=(124, 116, 104), std=(58, 57, 57))
    classifier = seewhy.Classifier(what.model, preprocess=preprocessing)
    explainer = seewhy.Explainer(classifier)
    found: dict[str, Times] = {"wall": {}, "processor": {}}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder) / "in", count, SIZE)
        few = [classifier.preprocess([path]).values for path in paths[: len(NAMES)]]
        inputs = np.concatenate([few[number % len(few)] for number in range(count)])
        batches = [inputs[start : start + BATCH_SIZE] for start in range(0, count, BATCH_SIZE)]
        calls: Variants = {
            "forward": lambda: [what.run(batch) for batch in batches],
            "stream": lambda: sum(1 for _ in explainer.stream(paths, batch_size=BATCH_SIZE)),
        }
        for turn in range(rounds + 1):
            for name, call in calls.items():
                start, started = time.perf_counter(), processor_seconds()
                call()
                if turn:  # the first traces and compiles
                    found["wall"].setdefault(name, []).append(1000 * (time.perf_counter() - start))
                    found["processor"].setdefault(name, []).append(1000 * (processor_seconds() - started))
    return found


def figures(measured: dict[str, dict[str, Times]], count: int) -> list[Figure]:
    """Return the images per second, and the time as times the forward passes."""
    return [
        {
            "title": FRAMEWORKS[framework],
            "framework": framework,
            "images_per_second": Spread.of([1000 * count / ms for ms in times["wall"]["stream"]]).numbers(),
            "forward": ratios(times["wall"], "stream", "forward").numbers(),
            "processor": ratios(times["processor"], "stream", "forward").numbers(),
        }
        for framework, times in measured.items()
    ]


def run(count: int, rounds: int, frameworks: tuple[str, ...]) -> None:
    """Measure, and publish the table."""
    measured: dict[str, dict[str, Times]] = {}
    for framework in frameworks:
        command = [sys.executable, "-m", "benchmarks.stream", "--one", framework]
        command += ["--images", str(count), "--rounds", str(rounds)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        measured[framework] = json.loads(output.splitlines()[-1])
    found = figures(measured, count)
    rows = [
        {
            "": each["title"],
            "images per second": Spread(*each["images_per_second"]).shown(1),
            "/ forward": Spread(*each["forward"]).shown(2),
            "processor / forward's": Spread(*each["processor"]).shown(2),
        }
        for each in found
    ]
    title = (
        f"Explainer.stream over {count} JPEG files of 640 x 480: ResNet-50, batches of {BATCH_SIZE}, {rounds} rounds"
    )
    publish("stream", title, rows, measured, machine(*PACKAGES, "pillow"), found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64, help="how many images (default 64)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, two or more (default 5)")
    parser.add_argument("--frameworks", nargs="*", choices=FRAMEWORK_NAMES, default=FRAMEWORK_NAMES)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # print the times of one framework as JSON
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.images, given.rounds)))
        return
    run(given.images, max(given.rounds, 2), tuple(given.frameworks))


if __name__ == "__main__":
    main()
