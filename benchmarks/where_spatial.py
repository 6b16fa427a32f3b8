"""The where-test for a U-Net, 3-D and 1-D convolutional models, and models of videos.

Small models learn to name objects in noise, see `benchmarks.where_spatial_data`. Of inputs that they have not seen,
with two objects of different classes each, both classes are explained. The share of heatmaps is counted whose peak lies
in the window of the object of their class, and the share that are higher there than in the window of the other. The
models are trained in PyTorch; in Keras they are built once more, for every backend, with the same weights.

    python -m benchmarks.where_spatial           every method in PyTorch, the defaults in Keras too; about ten minutes
    python -m benchmarks.where_spatial --quick   the defaults in PyTorch
    python -m benchmarks.where_spatial --record  keeps the tables in docs/measured.json
    python -m benchmarks.where_spatial --check   exits with 1 where a default misses its goal
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
from benchmarks.where_spatial_data import SPACES, Scenes, draw_scenes, peaks_inside, window_means

import seewhy
from seewhy.errors import NotPredictedError, SeewhyError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DEFAULT = "default"
METHODS = ("gradcam", "hirescam", "layercam", "gradcam++", "xgradcam", "eigencam", "saliency", "gradient_x_input")
STEPS, INPUTS, GOAL = 600, 100, 0.95
FRAMEWORKS = {
    "torch": "PyTorch",
    "keras-tensorflow": "Keras/TensorFlow",
    "keras-jax": "Keras/JAX",
    "keras-torch": "Keras/PyTorch",
}


class Kind(NamedTuple):
    """A kind of model.

    Attributes:
        title: How tables call it.
        space: A key of `SPACES`, of what it takes.
    """

    title: str
    space: str


KINDS = {
    "unet": Kind("U-Net, by class", "image"),
    "cnn-3d": Kind("CNN of volumes", "volume"),
    "cnn-1d": Kind("CNN of signals", "signal"),
    "video-3d": Kind("CNN of videos, 3-D", "movements"),
    "video-frames": Kind("CNN of frames, and their mean", "flashes"),
}


class Shares(NamedTuple):
    """What one method found of one model.

    Attributes:
        peaks: The share of heatmaps whose peak lies in the window of the object.
        told_apart: The share of heatmaps that are higher there than in the window of the other object.
        method: The method that the default took, or the method.
    """

    peaks: float
    told_apart: float
    method: str


def shares(model: Any, name: str, inputs: Any, scenes: Scenes, method: str) -> Shares:
    """Explain both classes of each input; a class that a segmentation does not predict counts as missed."""
    space, offset = SPACES[KINDS[name].space], int(name == "unet")
    explainer = seewhy.Explainer(model) if method == DEFAULT else seewhy.Explainer(model, method)
    peaks: list[bool] = []
    told_apart: list[bool] = []
    taken = method
    for row, present in enumerate(scenes.present):
        classes = np.flatnonzero(present)
        starts = scenes.starts[row][classes]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", seewhy.errors.SeewhyWarning)  # a warning is no excuse for a wrong peak
                found = explainer.heatmaps(inputs[row : row + 1], [int(kind) + offset for kind in classes])
        except NotPredictedError:
            peaks += [False] * len(classes)
            told_apart += [False] * len(classes)
            continue
        maps, taken = found.values[0], found.method
        peaks += peaks_inside(maps, starts, space).tolist()
        told_apart += (window_means(maps, starts, space) > window_means(maps, starts[::-1], space)).tolist()
    return Shares(float(np.mean(peaks)), float(np.mean(told_apart)), taken)


def all_shares(model: Any, name: str, inputs: Any, scenes: Scenes, methods: Iterable[str]) -> dict[str, Any]:
    """Return the shares of each method; in words where a method refuses the model."""
    found: dict[str, Any] = {}
    for method in methods:
        start = time.monotonic()
        try:
            found[method] = shares(model, name, inputs, scenes, method)
        except SeewhyError as error:
            print(f"  {name}, {method}: {error}", file=sys.stderr)
            found[method] = "refused"
        print(f"  {name}, {method}: {found[method]} ({time.monotonic() - start:.1f} s)", file=sys.stderr, flush=True)
    return found


def in_torch(names: Iterable[str], methods: Iterable[str], inputs: int, weights: Path) -> dict[str, dict[str, Any]]:
    """Train each model in PyTorch, write its weights for Keras, and return its shares."""
    where_torch = importlib.import_module("benchmarks.where_spatial_torch")
    found = {}
    for name in names:
        start, space = time.monotonic(), KINDS[name].space
        model, reached = where_torch.train(name, space, STEPS)
        print(f"{name}: {reached:.3f} after {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        np.savez(weights / name, *(array.detach().numpy() for array in where_torch.weight_arrays(model)))
        scenes = draw_scenes(space, inputs, seed=3, objects=2)
        found[name] = all_shares(model, name, scenes.inputs, scenes, methods)
    return found


def in_keras(names: Iterable[str], methods: Iterable[str], inputs: int, weights: Path) -> dict[str, dict[str, Any]]:
    """Build each model in Keras, with the weights of its counterpart, and return its shares."""
    where_keras = importlib.import_module("benchmarks.where_spatial_keras")
    found = {}
    for name in names:
        with np.load(weights / f"{name}.npz") as archive:
            arrays = [archive[f"arr_{position}"] for position in range(len(archive.files))]
        space = KINDS[name].space
        model, scenes = (
            where_keras.build(name, SPACES[space].sizes, arrays),
            draw_scenes(space, inputs, seed=3, objects=2),
        )
        found[name] = all_shares(model, name, np.moveaxis(scenes.inputs, 1, -1), scenes, methods)
    return found


def in_process(framework: str, names: Iterable[str], inputs: int, weights: Path) -> Any:
    """Return what `in_keras` does in a process of its own, as each has one backend; of the default."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.where_spatial", "--framework", framework]
    command += ["--models", *names, "--inputs", str(inputs), "--weights", str(weights)]
    subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": framework.removeprefix("keras-")})
    return json.loads((weights / f"{framework}.json").read_text())


def default_rows(by_framework: dict[str, dict[str, dict[str, Any]]]) -> list[Row]:
    """Return a row for each model, with what the defaults of each framework found."""
    rows: list[Row] = []
    for name in next(iter(by_framework.values())):
        of_torch = by_framework["torch"][name][DEFAULT]
        row: Row = {"model": KINDS[name].title, "method": "refused" if of_torch == "refused" else of_torch[2]}
        row |= {FRAMEWORKS[framework]: _cell(found[name][DEFAULT], 0) for framework, found in by_framework.items()}
        rows.append(row | {"told apart": _cell(of_torch, 1), "goal": f"{GOAL:.2f}"})
    return rows


def method_rows(found: dict[str, dict[str, Any]]) -> list[Row]:
    """Return a row for each method: peaks in the window, and told apart, for each model."""
    return [
        {"method": method}
        | {KINDS[name].title: f"{_cell(of[method], 0)}, {_cell(of[method], 1)}" for name, of in found.items()}
        for method in next(iter(found.values()))
        if method != DEFAULT
    ]


def misses(by_framework: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield where a default misses the goal, by its peaks or by telling classes apart."""
    for framework, found in by_framework.items():
        for name, of_model in found.items():
            reached = of_model[DEFAULT]
            if reached == "refused" or min(reached[:2]) < GOAL:
                yield f"{FRAMEWORKS[framework]}, {KINDS[name].title}: {reached}; the goal is {GOAL}"


def _cell(reached: Any, position: int) -> str:
    return reached if isinstance(reached, str) else f"{reached[position]:.2f}"


def publish_all(by_framework: dict[str, dict[str, dict[str, Any]]], inputs: int) -> list[str]:
    """Publish the tables, and return the names of their files."""
    where = machine("keras", "tensorflow", "jax", "torch")
    title = f"Share of heatmaps whose peak lies on the object, of two in each of {inputs} inputs"
    publish("where_spatial-defaults", f"{title}: the defaults", default_rows(by_framework), by_framework, where)
    if rows := method_rows(by_framework["torch"]):
        publish(
            "where_spatial-methods", f"{title}, and share that are higher on it: PyTorch", rows, by_framework, where
        )
        return ["where_spatial-defaults", "where_spatial-methods"]
    return ["where_spatial-defaults"]


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.where_spatial", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="the defaults in PyTorch")
    parser.add_argument("--record", action="store_true", help="keep the tables in docs/measured.json")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a default misses its goal")
    parser.add_argument("--models", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--framework", choices=list(FRAMEWORKS)[1:], help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Train, explain, count, and publish the tables."""
    options = arguments()
    if options.framework:
        found = in_keras(options.models, [DEFAULT], options.inputs, options.weights)
        (options.weights / f"{options.framework}.json").write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        weights, methods = Path(folder), (DEFAULT,) if options.quick else (DEFAULT, *METHODS)
        by_framework: dict[str, Any] = {"torch": in_torch(options.models, methods, options.inputs, weights)}
        for framework in () if options.quick else list(FRAMEWORKS)[1:]:
            by_framework[framework] = in_process(framework, options.models, options.inputs, weights)
    names = publish_all(by_framework, options.inputs)
    if options.record:
        record_results(names)
    if options.check and (missed := list(misses(by_framework))):
        raise SystemExit("\n".join(missed))


if __name__ == "__main__":
    main()
