"""What each method costs: native PyTorch, ResNet-50, one class, all in one process.

The methods of one capture take turns with Grad-CAM, and Eigen-CAM with pytorch-grad-cam's. Ablation-CAM, which runs the
head thousands of times, is timed once beside pytorch-grad-cam's, at one batch size, if it is asked for: `--peers
eigencam ablationcam`. Score-CAM has a benchmark of its own, `benchmarks.perturbations`.
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from benchmarks.forwards import subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, Variants, interleave, machine, ratios
from benchmarks.results import Figure, publish

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LAYER = "layer4.2"
CLASS = 3
BATCH_SIZE = 16
GOAL = "1.2"
"""How many times as long as Grad-CAM a method of one capture may take."""

PEERS = ("eigencam", "ablationcam")
"""Methods that pytorch-grad-cam has too."""


def one_capture() -> list[str]:
    """Return the methods that need no more than one run of the model, at a layer that is named."""
    from seewhy.methods import METHODS

    return [
        name
        for name, method in METHODS.items()
        if method.level == "layer" and method.family != "attention" and not method.needs_runner and method.fuse is None
    ]


def seewhy_variants(model: Any, batch: Any, names: list[str]) -> Variants:
    """Return one call of each method."""
    import seewhy

    explainers = {name: seewhy.Explainer(model, name, LAYER) for name in names}
    return {
        name: partial(explainer.heatmaps, batch, [CLASS], batch_size=BATCH_SIZE)
        for name, explainer in explainers.items()
    }


def peer(model: Any, inputs: Any, name: str) -> Callable[[], object]:
    """Return one call of pytorch-grad-cam's method of that name."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    kind = {"eigencam": "EigenCAM", "ablationcam": "AblationCAM"}[name]

    def explain() -> object:
        with getattr(pytorch_grad_cam, kind)(model, [model.get_submodule(LAYER)]) as cam:
            cam.batch_size = BATCH_SIZE
            return cam(inputs, [ClassifierOutputTarget(CLASS)])

    return explain


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def publish_against_gradcam(model: Any, batch: Any, budget: float) -> None:
    """Publish the methods of one capture, as ratios to Grad-CAM."""
    times = interleave(seewhy_variants(model, batch, one_capture()), budget)
    rows = [{"": name, "/ gradcam": ratios(times, name, "gradcam").shown(2), "goal": GOAL} for name in times]
    title = f"Methods of one capture against Grad-CAM: native PyTorch, ResNet-50, {len(times['gradcam'])} rounds"
    publish("methods", title, rows, times, machine("torch", "torchvision"))


def publish_against_peer(model: Any, batch: Any, names: list[str], budget: float) -> None:
    """Publish the methods that pytorch-grad-cam has too: Eigen-CAM round by round, Ablation-CAM once."""
    import torch

    rows, found = [], []
    measured = {}
    for name in names:
        variants = {"seewhy": seewhy_variants(model, batch, [name])[name]}
        variants["pytorch-grad-cam"] = peer(model, torch.tensor(batch), name)
        if name == "eigencam":
            times = interleave(variants, budget)
        else:
            variants["seewhy"]()  # what is done once for each model, which minutes would hide
            times = {tool: [1000 * seconds(call)] * 2 for tool, call in variants.items()}
        cells = {f"{tool}, s": Spread.of([ms / 1000 for ms in each]).shown(2) for tool, each in times.items()}
        times_as_long = ratios(times, "pytorch-grad-cam", "seewhy")
        figure: Figure = {"title": f"PyTorch, ResNet50, {name}", "method": name, "seewhy": times_as_long.numbers()}
        goal = goal_of("methods-peers", figure)
        words = "" if goal is None else f"{goal:g}"
        rows.append({"": name, **cells, "times as long": times_as_long.shown(1), "goal": words})
        found.append(figure | {"goal": goal})
        measured[name] = times
    title = f"Methods that pytorch-grad-cam has too: native PyTorch, ResNet-50, batches of {BATCH_SIZE}"
    publish("methods-peers", title, rows, measured, machine("torch", "torchvision", "grad-cam"), found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="the budget of each table (default 20)")
    parser.add_argument(
        "--peers", nargs="*", default=["eigencam"], choices=PEERS, metavar="NAME", help="default: eigencam"
    )
    parser.add_argument("--side", type=int, default=224, help="pixels of the image's side (default 224)")
    given = parser.parse_args()
    model, batch, _ = subject("torch", "ResNet50")
    batch = np.ascontiguousarray(batch[..., : given.side, : given.side])
    publish_against_gradcam(model, batch, given.seconds)
    if given.peers:
        publish_against_peer(model, batch, given.peers, given.seconds)


if __name__ == "__main__":
    main()
