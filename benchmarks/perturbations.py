"""Methods that run the model on perturbations, against as many bare forward passes: Score-CAM, and RISE with 512 masks.

MobileNetV2 at 224 pixels, batches of 16. The bare passes are those of K inputs in equal batches, where K is the number
of channels that Score-CAM weighs, or of masks. One batch that the framework holds already is run again and again:
nothing is copied into it. With native PyTorch, pytorch-grad-cam's Score-CAM, which runs the model as often, and that of
SeeWhy in ONNX Runtime take turns with these. What a method does besides is to capture the layer, to build masks, to
multiply, and to sum.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from benchmarks.cases import Case, Measured, Turns, main, raw, shown
from benchmarks.forwards import Subject, subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, Times, Variants, interleave, machine, ratios
from benchmarks.results import Figure, Row, publish

import seewhy

os.environ.setdefault("TQDM_DISABLE", "1")  # pytorch-grad-cam's progress bar

MODEL, LAYER = "MobileNetV2", {"torch": "features.18.0", "keras-tensorflow": "Conv_1"}
"""The last convolution, before its ReLU: none of its 1,280 channels is constant. SeeWhy leaves constant ones out, and
pytorch-grad-cam does not, so that they would not run the model equally often."""

CLASS = 3
BATCH_SIZE = 16
MASKS = 512
METHODS = {"scorecam": "Score-CAM", "rise": f"RISE, {MASKS} masks"}
"""What is measured, and what tables call it."""

CASES = tuple(Case(framework, MODEL, method) for framework in LAYER for method in METHODS)
SECONDS = 15.0
QUICK_SIDE, QUICK_MASKS = 64, 64
PACKAGES = ("keras", "tensorflow", "torch", "onnxruntime", "grad-cam")


def measure(case: Case, seconds: float) -> list[Turns]:
    """Measure one case, in this process."""
    what = subject(case.framework, case.model, logits=bool(seconds), any_size=not seconds)
    what = what if seconds else what.with_batch(1, QUICK_SIDE)
    if case.kind == "scorecam":
        calls = _scorecam(what, case.framework)
    else:
        calls = _rise(what, case.framework, MASKS if seconds else QUICK_MASKS)
    side = what.batch.shape[2]  # of (N, h, w, 3) and of (N, 3, h, w) alike
    return [Turns(1, side, interleave(calls, seconds, slow=True))]


def _scorecam(what: Subject, framework: str) -> Variants:
    """Return the passes and Score-CAM of each tool, of one class."""
    layer, method = LAYER[framework], seewhy.methods.get("scorecam")
    channels = _runs(what, layer, method) - 1  # one is of the baseline
    calls: Variants = {"forward": _bare(what, framework, channels), "seewhy": _seewhy(what, layer, method)}
    if framework == "torch":
        calls["pytorch-grad-cam"] = _pytorch_grad_cam(what, layer)
        calls["onnx"] = _seewhy(what, layer, method, "onnx")
    return calls


def _rise(what: Subject, framework: str, masks: int) -> Variants:
    """Return the passes and RISE, which needs no layer."""
    method = seewhy.methods.get("rise", masks=masks)
    return {"forward": _bare(what, framework, masks), "seewhy": _seewhy(what, "auto", method)}


class _CountedError(Exception):
    """Ends a method when it has said how often it will run the model."""


def _runs(what: Subject, layer: str, method: Any) -> int:
    """Return how many perturbations a method runs: Score-CAM leaves out constant channels."""
    counts = []

    def stop(_: str, __: int, count: int) -> None:
        counts.append(count)
        raise _CountedError

    with suppress(_CountedError):
        seewhy.Explainer(what.model, method, layer, progress=stop).heatmaps(what.batch, [CLASS])
    return counts[0]


def _bare(what: Subject, framework: str, count: int) -> Callable[[], object]:
    """Return the bare passes of `count` inputs in batches, of which the last may have fewer."""
    sizes = [min(BATCH_SIZE, count - start) for start in range(0, count, BATCH_SIZE)]
    run = {"torch": _torch_run, "keras-tensorflow": _tensorflow_run}[framework](what)
    by_size = {size: run(what.with_batch(size).batch) for size in set(sizes)}
    return lambda: [by_size[size]() for size in sizes]


def _torch_run(what: Subject) -> Callable[[Any], Callable[[], object]]:
    import torch

    def run(inputs: Any) -> object:
        with torch.inference_mode():
            return what.model(inputs).numpy()

    return lambda batch: partial(run, torch.tensor(batch))


def _tensorflow_run(what: Subject) -> Callable[[Any], Callable[[], object]]:
    import tensorflow as tf

    return lambda batch: partial(what.run, tf.constant(batch))  # which is not copied


def _seewhy(what: Subject, layer: str, method: Any, backend: Any = None) -> Callable[[], object]:
    explainer = seewhy.Explainer(what.model, method, layer, backend=backend)
    return partial(explainer.heatmaps, what.batch, [CLASS], batch_size=BATCH_SIZE)


def _pytorch_grad_cam(what: Subject, layer: str) -> Callable[[], object]:
    import torch
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    inputs = torch.tensor(what.batch)

    def explain() -> object:
        with ScoreCAM(what.model, [what.model.get_submodule(layer)]) as cam:
            cam.batch_size = BATCH_SIZE
            return cam(inputs, [ClassifierOutputTarget(CLASS)])

    return explain


def figures(measured: Measured) -> list[Figure]:
    """Return what was measured as figures; `forward` is the ratio to the bare passes.

    Of pytorch-grad-cam, `seewhy` and `onnx` are the ratios to SeeWhy, on PyTorch and in ONNX Runtime.
    """
    found = []
    for case, (turn,) in measured:
        for tool, ms in turn.ms.items():
            figure: Figure = {"title": f"{case.title}, {METHODS[case.kind]}", "framework": case.framework}
            figure |= {"model": case.model, "method": case.kind, "side": turn.side, "tool": tool, "rounds": len(ms)}
            figure |= {"ms": Spread.of(ms).numbers(), **_ratios(turn.ms, tool)}
            found.append(figure | {"goal": goal_of("perturbations", figure)})
    return found


def _ratios(times: Times, tool: str) -> dict[str, list[float]]:
    bases = ("forward", "seewhy", "onnx") if tool == "pytorch-grad-cam" else ("forward",)
    return {base: ratios(times, tool, base).numbers() for base in bases}


def rows(found: list[Figure]) -> list[Row]:
    """Return a row for each method, framework and tool."""
    return [
        {
            "": each["title"],
            "tool": each["tool"],
            "s": Spread(*(ms / 1000 for ms in each["ms"])).shown(2),
            "/ bare forward passes": shown(each["forward"]),
            "/ SeeWhy": shown(each["seewhy"]) if "seewhy" in each else "",
            "/ SeeWhy, onnx": shown(each["onnx"]) if "onnx" in each else "",
            "goal": "" if each["goal"] is None else f"{each['goal']:g}",
            "rounds": str(each["rounds"]),
        }
        for each in found
    ]


def publish_all(measured: Measured) -> None:
    """Publish the table."""
    found = figures(measured)
    size = f"batches of {BATCH_SIZE}, {found[0]['side']} pixels"
    title = f"Score-CAM and RISE against as many bare forward passes: {size}; medians, and the middle half"
    publish("perturbations", title, rows(found), raw(measured), machine(*PACKAGES), found)


if __name__ == "__main__":
    main("perturbations", CASES, measure, publish_all, SECONDS)
