"""The where-test: does the peak of a heatmap lie on what decided?

Small models learn to name the colour of a bright square among other squares, see `benchmarks.where_images`. On images
that they have not seen, the share of heatmaps is counted whose peak lies in the cell of that square. On images with two
such squares of different colours, the share of heatmaps is counted that are higher on the square of their own colour.
The models are trained in PyTorch; in Keras they are built once more, for every backend, with the same weights.

    python -m benchmarks.where           every method in PyTorch, the defaults in Keras too; about five minutes
    python -m benchmarks.where --quick   the defaults in PyTorch, on fewer images; under a minute
    python -m benchmarks.where --record  keeps the tables in docs/measured.json, of which the documentation is made
    python -m benchmarks.where --check   exits with 1 where a default misses its goal
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.interleaved import machine
from benchmarks.record import record_results
from benchmarks.results import Row, publish
from benchmarks.where_images import Grid, Squares, draw_pairs, draw_squares, higher_on_own, peaks_on_squares

import seewhy
from seewhy.errors import SeewhyError
from seewhy.methods import METHODS, Method

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DEFAULT = "default"
"""The row of what an Explainer does that is told nothing: neither a method nor a layer."""

STEPS = 600
"""The most steps of training."""

IMAGES, QUICK_IMAGES = 200, 60

SLOW_IMAGES = 20
"""The number of images of a method that runs the model many times for each."""

FEWER = {"masks": 400, "samples": 8, "steps": 16}
"""Options of such methods, which by default run these small models for minutes; all but IS-CAM's steps are fewer."""

BATCH_SIZE = 128

POOR = 0.5
"""A share of fewer heatmaps than this is named."""

FRAMEWORKS = {
    "torch": "PyTorch",
    "keras-tensorflow": "Keras/TensorFlow",
    "keras-jax": "Keras/JAX",
    "keras-torch": "Keras/PyTorch",
}


class Architecture(NamedTuple):
    """A kind of model.

    Attributes:
        title: How tables call it.
        goal: The share that the defaults must reach.
        grid: The cells of its images.
    """

    title: str
    goal: float
    grid: Grid = (4, 4)


ARCHITECTURES = {
    "cnn": Architecture("CNN", 0.95),
    "convnext": Architecture("ConvNeXt", 0.95),
    "vit-class-2": Architecture("ViT, class token, 2 blocks", 0.85),
    "vit-class-4": Architecture("ViT, class token, 4 blocks", 0.85),
    "vit-registers": Architecture("ViT, registers, 4 x 6", 0.85, (4, 6)),
    "vit-mean-2": Architecture("ViT, mean, 2 blocks", 0.85),
    "vit-mean-4": Architecture("ViT, mean, 4 blocks", 0.85),
    "vit-sequence-first": Architecture("ViT, sequence first", 0.85),
    "swin": Architecture("shifted windows", 0.85),
}

QUICK = ("cnn", "convnext", "vit-class-2", "vit-mean-2")

Shares = dict[str, float | str]
"""By method, the share of heatmaps whose peak lies on the square; in words where there is no heatmap of an image."""


def settings(method: Method) -> Method:
    """Return a method with the options with which it is tried."""
    return method.with_options({name: value for name, value in FEWER.items() if name in method.options})


def share(model: Any, inputs: Any, squares: Squares, grid: Grid, name: str) -> float | str:
    """Return the share of heatmaps whose peak lies on the square, or why there are none.

    Of images with two squares, it is the share of heatmaps that are higher on their own.
    """
    count = len(inputs)
    if name == DEFAULT:
        explainer = seewhy.Explainer(model)
    else:
        method = settings(METHODS[name])
        count = min(count, SLOW_IMAGES) if method.needs_runner else count
        explainer = seewhy.Explainer(model, method)
    targets = squares.classes[:count].reshape(count, -1).tolist()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", seewhy.errors.SeewhyWarning)  # a warning is no excuse for a wrong peak
            heatmaps = explainer.heatmaps(inputs[:count], targets, batch_size=BATCH_SIZE)
    except SeewhyError as error:
        print(f"  {name}: {error}", file=sys.stderr, flush=True)
        return "refused"
    if heatmaps.values.ndim != 4:
        return "no grid"
    if squares.classes.ndim == 2:
        return float(higher_on_own(heatmaps.values, squares.cells[:count], grid).mean())
    return float(peaks_on_squares(heatmaps.values[:, 0], squares.cells[:count], grid).mean())


def shares(model: Any, inputs: Any, squares: Squares, name: str, methods: Iterable[str]) -> Shares:
    """Return the share of each method for one model."""
    found: Shares = {}
    for method in methods:
        start = time.monotonic()
        found[method] = share(model, inputs, squares, ARCHITECTURES[name].grid, method)
        took = time.monotonic() - start
        print(f"  {name}, {method}: {_cell(found[method])} ({took:.1f} s)", file=sys.stderr, flush=True)
    return found


def in_torch(
    names: Iterable[str], methods: Iterable[str], images: int, weights: Path
) -> tuple[dict[str, Shares], dict[str, Shares]]:
    """Train each model in PyTorch, write its weights for Keras, and return its shares for one and for two squares."""
    import torch

    from benchmarks import where_torch

    found, of_two = {}, {}
    for name in names:
        grid, start = ARCHITECTURES[name].grid, time.monotonic()
        model = where_torch.train(name, grid, STEPS)
        squares = draw_squares(images, grid, seed=3)
        inputs = where_torch.to_inputs(squares.images)
        with torch.no_grad():
            scores = model(torch.tensor(inputs)).numpy()
        accuracy = float((scores.argmax(1) == squares.classes).mean())
        print(f"{name}: trained in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        arrays = [array.detach().numpy() for array in where_torch.weight_arrays(model)]
        np.savez(weights / name, *arrays, scores=scores)
        found[name] = {"accuracy": accuracy} | shares(model, inputs, squares, name, methods)
        pairs = draw_pairs(images, grid, seed=4)
        of_two[name] = shares(model, where_torch.to_inputs(pairs.images), pairs, name, methods)
    return found, of_two


def in_keras(names: Iterable[str], methods: Iterable[str], images: int, weights: Path) -> dict[str, Shares]:
    """Build each model in Keras, with the weights of its counterpart, and return its shares."""
    where_keras = importlib.import_module("benchmarks.where_keras")
    found = {}
    for name in names:
        with np.load(weights / f"{name}.npz") as archive:
            arrays = [archive[f"arr_{position}"] for position in range(len(archive.files) - 1)]
            scores = archive["scores"]
        grid = ARCHITECTURES[name].grid
        model, squares = where_keras.build(name, grid, arrays), draw_squares(images, grid, seed=3)
        np.testing.assert_allclose(model.predict(squares.images, verbose=0), scores, atol=1e-3)
        found[name] = shares(model, squares.images, squares, name, methods)
    return found


def in_process(framework: str, names: Iterable[str], methods: Iterable[str], images: int, weights: Path) -> Any:
    """Return what `in_keras` does in a process of its own, as each has one backend."""
    path = weights / f"{framework}.json"
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.where", "--framework", framework]
    command += ["--models", *names, "--methods", *methods, "--images", str(images), "--weights", str(weights)]
    backend = framework.removeprefix("keras-")
    subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": backend})
    return json.loads(path.read_text())


def method_rows(found: dict[str, Shares]) -> list[Row]:
    """Return a row for each method, with a cell for each architecture."""
    methods = list(dict.fromkeys(method for of_model in found.values() for method in of_model))
    return [
        {"method": method} | {ARCHITECTURES[name].title: _cell(of_model[method]) for name, of_model in found.items()}
        for method in methods
    ]


def poor_rows(found: dict[str, Shares]) -> list[Row]:
    """Return a row for each method whose peaks mostly lie elsewhere, with the architectures for which they do."""
    rows = []
    for method in METHODS:
        poor = [name for name, of_model in found.items() if _is_poor(of_model.get(method))]
        if poor:
            titles = "; ".join(ARCHITECTURES[name].title for name in poor)
            rows.append({"method": method, f"less than {POOR:.0%} for": titles})
    return rows


def default_rows(by_framework: dict[str, dict[str, Shares]]) -> list[Row]:
    """Return a row for each architecture, with the shares of the defaults in each framework."""
    names = next(iter(by_framework.values()))
    return [
        {"model": ARCHITECTURES[name].title}
        | {FRAMEWORKS[framework]: _cell(found[name][DEFAULT]) for framework, found in by_framework.items()}
        | {"goal": f"{ARCHITECTURES[name].goal:.2f}"}
        for name in names
    ]


def misses(by_framework: dict[str, dict[str, Shares]]) -> Iterator[str]:
    """Yield where a default misses its goal."""
    for framework, found in by_framework.items():
        for name, of_model in found.items():
            reached, goal = of_model[DEFAULT], ARCHITECTURES[name].goal
            if isinstance(reached, str) or reached < goal:
                yield f"{FRAMEWORKS[framework]}, {ARCHITECTURES[name].title}: {_cell(reached)}; the goal is {goal:.2f}"


def _is_poor(reached: float | str | None) -> bool:
    return isinstance(reached, float) and reached < POOR


def _cell(reached: float | str) -> str:
    return reached if isinstance(reached, str) else f"{reached:.2f}"


def publish_all(by_framework: dict[str, dict[str, Shares]], of_two: dict[str, Shares], images: int) -> list[str]:
    """Publish the tables, and return the names of their files."""
    where, measured = machine("keras", "tensorflow", "jax", "torch"), by_framework
    title = f"Share of heatmaps whose peak lies on the square, of {images} images"
    publish("where-defaults", f"{title}: the defaults", default_rows(by_framework), measured, where)
    names = ["where-defaults"]
    found = by_framework["torch"]
    if any(set(of_model) - {DEFAULT, "accuracy"} for of_model in found.values()):
        words = f"{title}, or {SLOW_IMAGES} where a method runs the model many times: PyTorch"
        publish("where-methods", words, method_rows(found), measured, where)
        poor = poor_rows(found) or [{"method": "none"}]
        publish(
            "where-poor",
            f"Methods whose peaks mostly lie elsewhere, of {images} images: PyTorch",
            poor,
            measured,
            where,
        )
        publish(
            "where-two",
            f"Share of heatmaps that are higher on their own square, of two in each of {images} images, or as above: "
            "PyTorch",
            method_rows(of_two),
            of_two,
            where,
        )
        names += ["where-methods", "where-poor", "where-two"]
    return names


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.where", description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the defaults of a few models in PyTorch")
    parser.add_argument("--record", action="store_true", help="keep the tables in docs/measured.json")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a default misses its goal")
    parser.add_argument("--models", nargs="+", choices=list(ARCHITECTURES), metavar="NAME")
    parser.add_argument("--methods", nargs="+", choices=[DEFAULT, *METHODS], metavar="NAME")
    parser.add_argument("--frameworks", nargs="*", choices=list(FRAMEWORKS)[1:], metavar="NAME", help="besides PyTorch")
    parser.add_argument("--images", type=int)
    parser.add_argument("--framework", choices=list(FRAMEWORKS)[1:], help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the where-test."""
    given = arguments()
    images = given.images or (QUICK_IMAGES if given.quick else IMAGES)
    names = given.models or (QUICK if given.quick else tuple(ARCHITECTURES))
    methods = given.methods or ((DEFAULT,) if given.quick else (DEFAULT, *METHODS))
    if given.framework is not None:
        found = in_keras(names, methods, images, given.weights)
        (given.weights / f"{given.framework}.json").write_text(json.dumps(found))
        return
    others = given.frameworks
    if others is None:
        others = () if given.quick else tuple(FRAMEWORKS)[1:]
    with tempfile.TemporaryDirectory() as folder:
        found, of_two = in_torch(names, methods, images, Path(folder))
        by_framework = {"torch": found}
        for framework in others:
            by_framework[framework] = in_process(framework, names, (DEFAULT,), images, Path(folder))
    published = publish_all(by_framework, of_two, images)
    if given.record:
        record_results(published)
    missed = list(misses(by_framework))
    print("\n".join(missed) or "Every default reaches its goal.")
    sys.exit(1 if given.check and missed else 0)


if __name__ == "__main__":
    main()
