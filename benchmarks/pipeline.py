"""From JPEG files to overlays in files: 200 images, native PyTorch, ResNet-50, against the bare forward passes alone.

The images are those of `examples/`, brought to three sizes; those of 12 megapixels have the noise of a phone's camera.
What is timed is what `seewhy explain FOLDER` does once the model is loaded: decode, preprocess, run, explain, place,
draw, write. Both the time on the wall and the processor time of all threads are compared with those of the forward
passes, round by round; other processes disturb the processor time less.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.forwards import subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, Times, Variants, machine, ratios
from benchmarks.results import Figure, publish
from benchmarks.stages import measure_stages
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("cat.png", "coffee.png", "flower.jpg", "rocket.jpg")
SIZES = ((500, 375), (640, 480), (4000, 3000))
BATCH_SIZE = 16
REDUCED_SIDE = 750
"""What the shorter side of large images keeps when they are decoded at a reduced size."""

NOISE = 6
"""The standard deviation of the noise of a large image, whose files then have 3 MB, as a phone's."""


def make_images(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Write so many JPEG files; those with the same content are links to one file."""
    folder.mkdir()
    generator, paths = np.random.default_rng(0), [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number >= len(NAMES):
            os.link(paths[number % len(NAMES)], path)
            continue
        image = Image.open(EXAMPLES / NAMES[number]).convert("RGB").resize(size)
        if is_large(size):
            noisy = np.asarray(image) + generator.normal(0, NOISE, (size[1], size[0], 1)).astype(np.float32)
            image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        image.save(path, quality=90)
    return paths


def is_large(size: tuple[int, int]) -> bool:
    """Whether images of a size are reduced, too."""
    return min(size) >= 2 * REDUCED_SIDE


def forwards(model: Any, inputs: Any) -> None:
    """Run the model on inputs that are there already, and do nothing else."""
    import torch

    with torch.inference_mode():
        for start in range(0, len(inputs), BATCH_SIZE):
            model(inputs[start : start + BATCH_SIZE]).numpy()


def pipeline(explainer: Any, paths: Sequence[Path], folder: Path, suffix: str, least_side: int | None = None) -> None:
    """Do what the command line does with a folder."""
    from seewhy.cli.batches import explain_images, write_outcomes

    def write(explanations: Sequence[Any], path: Path) -> list[list[str]]:
        return [[str(each.save(folder / (path.stem + suffix)))] for each in explanations]

    explained = explain_images(paths, [explainer.explain], BATCH_SIZE, least_side)
    for outcome in write_outcomes(explained, write, BATCH_SIZE):
        if outcome.error is not None:
            raise outcome.error


def measure(count: int, rounds: int, folder: Path, size: tuple[int, int]) -> tuple[Times, Times]:
    """Measure all in turns, in milliseconds on the wall and of the processor."""
    import torch

    import seewhy

    model = subject("torch", "ResNet50").model
    classifier = seewhy.Classifier(model, preprocess=preprocessing())
    paths, explainer = make_images(folder / "in", count, size), seewhy.Explainer(classifier)
    different = [classifier.preprocess([path]).values for path in paths[: len(NAMES)]]
    inputs = torch.tensor(np.concatenate([different[number % len(different)] for number in range(count)]))
    out = folder / "out"
    calls: Variants = {
        "forward": lambda: forwards(model, inputs),
        "to JPEG": lambda: pipeline(explainer, paths, out, ".jpg"),
        "to PNG": lambda: pipeline(explainer, paths, out, ".png"),
    }
    if is_large(size):
        calls["reduced, to JPEG"] = lambda: pipeline(explainer, paths, out, ".jpg", REDUCED_SIDE)
        calls["reduced, to PNG"] = lambda: pipeline(explainer, paths, out, ".png", REDUCED_SIDE)
    pipeline(explainer, paths[: 2 * BATCH_SIZE], out, ".jpg")
    wall: Times = {name: [] for name in calls}
    processor: Times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start, started = time.perf_counter(), processor_seconds()
            call()
            wall[name].append(1000 * (time.perf_counter() - start))
            processor[name].append(1000 * (processor_seconds() - started))
    return wall, processor


def preprocessing() -> Any:
    """Return that of ResNet-50, without what a framework would add."""
    import seewhy

    return seewhy.Preprocessing(size=(224, 224), crop=0.875, mean=(124, 116, 104), std=(58, 57, 57))


def run_stages() -> None:
    """Measure the stages by themselves, of every size, and of large images at a reduced size."""
    sides = [(size, None) for size in SIZES] + [(size, REDUCED_SIDE) for size in SIZES if is_large(size)]
    sizes = [
        (
            f"{size[0]} x {size[1]}" + ("" if side is None else f", reduced to {side}"),
            side,
            lambda folder, size=size: make_images(folder, len(NAMES), size),
        )
        for size, side in sides
    ]
    of_model = dataclasses.replace(preprocessing(), channels_first=True)
    measure_stages(subject("torch", "ResNet50").model, of_model, sizes)


def processor_seconds() -> float:
    """Return the processor time of all threads of this process, and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def figures(wall: Times, processor: Times, count: int, size: tuple[int, int]) -> list[Figure]:
    """Return what each takes of an image, and as times the forward passes."""
    found, words = [], f"{size[0]} x {size[1]}"
    for what, ms in wall.items():
        figure: Figure = {"title": f"{words}, {what}", "size": words, "what": what}
        figure["ms"] = Spread.of([each / count for each in ms]).numbers()
        figure["processor_ms"] = Spread.of([each / count for each in processor[what]]).numbers()
        figure["forward"] = ratios(wall, what, "forward").numbers()
        figure["processor"] = ratios(processor, what, "forward").numbers()
        found.append(figure | {"goal": goal_of("pipeline", figure)})
    return found


def run(count: int, rounds: int, sizes: Sequence[tuple[int, int]]) -> None:
    """Measure, and publish the table."""
    found: list[Figure] = []
    measured: dict[str, Any] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            wall, processor = measure(count, rounds, Path(folder), size)
        found += figures(wall, processor, count, size)
        measured[f"{size[0]} x {size[1]}"] = {"wall": wall, "processor": processor}
    rows = [
        {
            "": each["title"],
            "ms for each image": Spread(*each["ms"]).shown(1),
            "/ forward": Spread(*each["forward"]).shown(2),
            "goal": "" if each["goal"] is None else f"{each['goal']:.2f}",
            "processor, ms": Spread(*each["processor_ms"]).shown(1),
            "processor / forward's": Spread(*each["processor"]).shown(2),
        }
        for each in found
    ]
    title = f"From {count} JPEG files to overlays: native PyTorch, ResNet-50, batches of {BATCH_SIZE}, {rounds} rounds"
    publish("pipeline", title, rows, measured, machine("torch", "torchvision", "pillow"), found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="how many images (default 200)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--side", type=int, help="only the size whose shorter side has so many pixels")
    parser.add_argument("--stages", action="store_true", help="only the stages by themselves, in less than a minute")
    arguments = parser.parse_args()
    if arguments.stages:
        run_stages()
        return
    sizes = [size for size in SIZES if arguments.side in (None, min(size))]
    if not sizes:
        parser.error(f"no such size; there are {', '.join(str(min(size)) for size in SIZES)}")
    run(arguments.images, arguments.rounds, sizes)
    if arguments.side is None:
        run_stages()


if __name__ == "__main__":
    main()
