"""Grad-CAM against the bare forward pass: transformers and ConvNeXt of timm, and tiny configs of two hubs.

The tiny configs are those of `benchmarks.zoo`. Their forward pass takes a few milliseconds, so that what SeeWhy does in
Python counts most. Grad-CAM by hand, of `benchmarks.by_hand`, is measured beside those on PyTorch. Libraries that are
not installed are left out.
"""

import os
import runpy
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cases import PACKAGES, Case, Measured, Turns, figures, main, raw, shown, turns
from benchmarks.forwards import KERAS_RUNS, Run, Subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Variants, machine
from benchmarks.results import Figure, Row, publish

from benchmarks import by_hand

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
            return logits(model(torch.tensor(batch))).numpy()

    forward: Run = run
    return Subject(model, _image((1, 3, side, side)), forward)


def logits(outputs: Any) -> Any:
    """Return the logits of what a model of timm or Hugging Face returns."""
    return getattr(outputs, "logits", outputs)


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

    explainer = seewhy.Explainer(what.model, "gradcam")
    tools: dict[str, by_hand.Explain] = {"seewhy": partial(explainer.heatmaps, what.batch)}
    if case.framework == "torch":
        tools[by_hand.TOOL] = _by_hand(what, explainer)
    variants: Variants = {"forward": what.forward}
    variants |= {f"{tool}, {count}": partial(tools[tool], list(range(count))) for count in COUNTS for tool in tools}
    return [turns(what, variants, seconds)]


def _by_hand(what: Subject, explainer: Any) -> by_hand.Explain:
    """Return Grad-CAM by hand at the layer that SeeWhy takes, once it gives the same heatmaps."""
    import torch

    classes = list(range(max(COUNTS)))
    wanted = explainer.heatmaps(what.batch, classes)
    height, width = wanted.values.shape[2:]

    def maps(output: Any) -> Any:
        """Bring (1, K, h, w), (1, h, w, K), or (1, ..., K) with h times w tokens at the end into (1, K, h, w)."""
        if output.ndim == 3:
            output = output[:, -height * width :].unflatten(1, (height, width))
        return output if output.shape[2:] == (height, width) else output.movedim(-1, 1)

    explain = by_hand.of_torch(what.model, wanted.layer, torch.tensor(what.batch), logits, maps)
    by_hand.check(explain(classes), wanted.values[0])
    return explain


def with_libraries(found: list[Figure]) -> list[Figure]:
    """Return the figures with the library of each model, by which some goals are."""
    found = [each | {"library": each["model"].partition(", ")[2] or "timm"} for each in found]
    return [each | {"goal": goal_of("models", each)} for each in found]


def rows(found: list[Figure]) -> list[Row]:
    """Return a row for each case: the forward pass, and what the explanations take of it."""
    forwards = [each for each in found if each["tool"] == "forward"]
    return [_row(each, [other for other in found if other["title"] == each["title"]]) for each in forwards]


def _row(forward: Figure, of_case: list[Figure]) -> Row:
    cells = {"": forward["title"], "forward, ms": shown(forward["ms"], 1)}
    for count in COUNTS:
        name = f"{count} class{'es' * (count > 1)}"
        by_tool = {each["tool"]: each for each in of_case if each["classes"] == count}
        cells[f"{name} / forward"] = shown(by_tool["seewhy"]["forward"])
        goal = by_tool["seewhy"]["goal"]
        cells[f"goal, {name}"] = "" if goal is None else f"{goal:.2f}"
        hand = by_tool.get(by_hand.TOOL)
        cells[f"{name} by hand / forward"] = "" if hand is None else shown(hand["forward"])
    return cells | {"rounds": str(forward["rounds"])}


def publish_all(measured: Measured) -> None:
    """Publish the table."""
    found = with_libraries(figures("models", measured))
    title = "Grad-CAM of transformers, ConvNeXt and tiny models of two hubs; medians, and the middle half of the rounds"
    packages = [name.replace("_", "-") for name in ALL if find_spec(name)]
    publish("models", title, rows(found), raw(measured), machine(*PACKAGES, *packages), found)


if __name__ == "__main__":
    main("models", CASES, measure, publish_all, SECONDS)
