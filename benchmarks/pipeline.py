"""From JPEG files to overlays in files: 200 images, native PyTorch, ResNet-50, against the bare forward passes alone.

The images are those of `examples/`, brought to 640 x 480. What is timed is what `seewhy explain FOLDER` does once the
model is loaded: decode, preprocess, run, explain, place, draw, write.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.forwards import subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, Times, machine, ratios
from benchmarks.results import Figure, publish
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("cat.png", "coffee.png", "flower.jpg", "rocket.jpg")
SIZE = (640, 480)
BATCH_SIZE = 16


def make_images(folder: Path, count: int) -> list[Path]:
    """Write so many JPEG files."""
    images = [Image.open(EXAMPLES / name).convert("RGB").resize(SIZE) for name in NAMES]
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        images[number % len(images)].save(path, quality=90)
    return paths


def forwards(model: Any, inputs: Any) -> None:
    """Run the model on inputs that are there already, and do nothing else."""
    import torch

    with torch.inference_mode():
        for start in range(0, len(inputs), BATCH_SIZE):
            model(inputs[start : start + BATCH_SIZE]).numpy()


def pipeline(explainer: Any, paths: Sequence[Path], folder: Path, suffix: str) -> None:
    """Do what the command line does with a folder."""
    from seewhy.cli.batches import explain_images, write_outcomes

    def write(explanations: Sequence[Any], path: Path) -> list[list[str]]:
        return [[str(each.save(folder / (path.stem + suffix)))] for each in explanations]

    for outcome in write_outcomes(explain_images(paths, [explainer.explain], BATCH_SIZE), write, BATCH_SIZE):
        if outcome.error is not None:
            raise outcome.error


def measure(count: int, rounds: int, folder: Path) -> Times:
    """Measure the three in turns, in milliseconds."""
    import torch

    import seewhy

    model = subject("torch", "ResNet50").model
    preprocessing = seewhy.Preprocessing(size=(224, 224), crop=0.875, mean=(124, 116, 104), std=(58, 57, 57))
    classifier = seewhy.Classifier(model, preprocess=preprocessing)
    paths, explainer = make_images(folder, count), seewhy.Explainer(classifier)
    inputs = torch.tensor(np.concatenate([classifier.preprocess([path]).values for path in paths]))
    calls = {
        "forward": lambda: forwards(model, inputs),
        "to JPEG": lambda: pipeline(explainer, paths, folder / "out", ".jpg"),
        "to PNG": lambda: pipeline(explainer, paths, folder / "out", ".png"),
    }
    pipeline(explainer, paths[: 2 * BATCH_SIZE], folder / "out", ".jpg")
    times: Times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    return times


def figures(times: Times, count: int) -> list[Figure]:
    """Return what each of the three takes of an image, and as times the forward passes."""
    found = []
    for what, ms in times.items():
        figure: Figure = {"title": what, "what": what, "ms": Spread.of([each / count for each in ms]).numbers()}
        figure["forward"] = ratios(times, what, "forward").numbers()
        found.append(figure | {"goal": goal_of("pipeline", figure)})
    return found


def run(count: int, rounds: int) -> None:
    """Measure, and publish the table."""
    with tempfile.TemporaryDirectory() as folder:
        times = measure(count, rounds, Path(folder))
    found = figures(times, count)
    rows = [
        {
            "": each["title"],
            "ms for each image": Spread(*each["ms"]).shown(1),
            "/ forward": Spread(*each["forward"]).shown(2),
            "goal": "" if each["goal"] is None else f"{each['goal']:.2f}",
        }
        for each in found
    ]
    title = f"From {count} JPEG files of 640 x 480 to overlays: native PyTorch, ResNet-50, batches of {BATCH_SIZE}"
    publish("pipeline", f"{title}, {rounds} rounds", rows, times, machine("torch", "torchvision", "pillow"), found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="how many images (default 200)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    arguments = parser.parse_args()
    run(arguments.images, arguments.rounds)


if __name__ == "__main__":
    main()
