"""Grad-CAM against the bare forward pass: transformers and ConvNeXt of timm, and tiny configs of two hubs.

The tiny configs are those of `benchmarks.zoo`. Their forward pass takes a few milliseconds, so that what SeeWhy does in
Python counts most. Libraries that are not installed are left out.
"""

import os
import runpy
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cases import PACKAGES, Case, Measured, Turns, figures, main, raw, shown, take_turns
from benchmarks.forwards import KERAS_RUNS, Run, Subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import machine
from benchmarks.results import Figure, Row, publish

COUNTS = (1, 8)
SECONDS = 6.0

TIMM = {
    "ViT-tiny": "vit_tiny_patch16_224",
    "Swin-tiny": "swin_tiny_patch4_window7_224",
    "ConvNeXt-tiny": "convnext_tiny",
}
"""timm's names."""

HUGGING_FACE = ("ViT", "DINOv2", "Swin", "ConvNeXt", "ResNet", "MobileNet V2", "SegFormer")
KERAS_HUB = ("ViT", "SwinTransformer", "ResNet", "MiT", "VGG", "CSPNet")

ALL = {
    "timm": [Case("torch", name, "timm") for name in TIMM],
    "transformers": [Case("torch", f"{name}, Hugging Face", "transformers") for name in HUGGING_FACE],
    "keras_hub": [Case("keras-tensorflow", f"{name}, KerasHub", "keras_hub") for name in KERAS_HUB],
}
"""The cases by the package that they need."""

CASES = [case for package, cases in ALL.items() if find_spec(package) for case in cases]


def subject(case: Case) -> Subject:
    """Build a model with seeded random weights, and a random image."""
    return BUILDERS[case.kind](case.model.partition(",")[0])


def _timm(name: str) -> Subject:
    import torch

    declare_operators()
    import timm

    torch.manual_seed(0)
    return _of_torch(timm.create_model(TIMM[name]).eval(), 224)


def _hugging_face(name: str) -> Subject:
    declare_operators()  # transformers imports torchvision, too
    from benchmarks.zoo.hugging_face import MODELS

    model, (side, _) = MODELS[name]()
    return _of_torch(model, side)


def declare_operators() -> None:
    """Declare torchvision's compiled operators where they are missing, by path: a peer has a package `tests`, too."""
    runpy.run_path(str(Path(__file__).parent.parent / "tests" / "torchvision_operators.py"))["declare_missing"]()


def _keras_hub(name: str) -> Subject:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from benchmarks.zoo.keras_hub import MODELS

    model, (side, _) = MODELS[name]()
    return Subject(model, _image((1, side, side, 3)), KERAS_RUNS["tensorflow"](model))


def _of_torch(model: Any, side: int) -> Subject:
    import torch

    def run(batch: Any) -> object:
        with torch.inference_mode():
            outputs = model(torch.tensor(batch))
            return getattr(outputs, "logits", outputs).numpy()

    forward: Run = run
    return Subject(model, _image((1, 3, side, side)), forward)


def _image(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


BUILDERS: dict[str, Callable[[str], Subject]] = {
    "timm": _timm,
    "transformers": _hugging_face,
    "keras_hub": _keras_hub,
}


def measure(case: Case, seconds: float) -> list[Turns]:
    """Measure one case, in this process."""
    what = subject(case)
    import seewhy

    return [take_turns(what, seewhy.Explainer(what.model, "gradcam"), COUNTS, seconds)]


def with_libraries(found: list[Figure]) -> list[Figure]:
    """Return the figures with the library of each model, by which some goals are."""
    found = [each | {"library": each["model"].partition(", ")[2] or "timm"} for each in found]
    return [each | {"goal": goal_of("models", each)} for each in found]


def rows(found: list[Figure]) -> list[Row]:
    """Return a row for each case: the forward pass, and what the explanations take of it."""
    cells = []
    for forward in [each for each in found if each["tool"] == "forward"]:
        row = {"": forward["title"], "forward, ms": shown(forward["ms"], 1)}
        for each in found:
            if each["title"] == forward["title"] and each["tool"] == "seewhy":
                name = f"{each['classes']} class{'es' * (each['classes'] > 1)}"
                row[f"{name} / forward"] = shown(each["forward"])
                row[f"goal, {name}"] = "" if each["goal"] is None else f"{each['goal']:.2f}"
        cells.append(row | {"rounds": str(forward["rounds"])})
    return cells


def publish_all(measured: Measured) -> None:
    """Publish the table."""
    found = with_libraries(figures("models", measured))
    title = "Grad-CAM of transformers, ConvNeXt and tiny models of two hubs; medians, and the middle half of the rounds"
    packages = [name.replace("_", "-") for name in ALL if find_spec(name)]
    publish("models", title, rows(found), raw(measured), machine(*PACKAGES, *packages), found)


if __name__ == "__main__":
    main("models", CASES, measure, publish_all, SECONDS)
