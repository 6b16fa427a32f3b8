"""Explanations in ONNX Runtime and OpenVINO, against the forward passes of PyTorch and the runtimes, and the peers.

Each model is a process of its own, in which PyTorch's bare forward pass, that of the exported model in each runtime,
explanations of 1, 8 and 1,000 classes with `backend="onnx"` and `backend="openvino"`, and the peers take turns. All use
float32 and the same number of threads. The threads of ONNX Runtime sleep between runs, as SeeWhy has them do: they
would else take the processor from what runs next.
"""

import io
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.cases import Case, Measured, Turns, main, raw, shown, turns
from benchmarks.forwards import Subject, subject
from benchmarks.goals import GOALS, goal_of, judged
from benchmarks.interleaved import Spread, Times, Variants, machine, ratios
from benchmarks.peers import torch_tools
from benchmarks.results import Figure, Row, publish

import seewhy

COUNTS = (1, 8, 1000)
RUNTIMES = ("onnx", "openvino")
PEERS = {"captum": (1,), "torchcam": (1,), "pytorch-grad-cam": (8,)}
"""The peers, and for how many classes each is measured: for eight, the first two are compared in `peers`."""

CASES = tuple(Case("torch", model) for model in ("ResNet50", "MobileNetV2", "EfficientNet-Lite0", "VGG16"))
SECONDS = 15.0
PACKAGES = ("torch", "onnxruntime", "openvino", "captum", "torchcam", "grad-cam")


def bare_forwards(what: Subject) -> dict[str, Callable[[], object]]:
    """Return the forward pass of the exported model in each runtime, as its documentation says."""
    import onnxruntime
    import openvino
    import torch

    file = io.BytesIO()
    image = torch.tensor(what.batch)
    torch.onnx.export(
        what.model,
        (image,),
        file,
        input_names=["image"],
        dynamic_axes={"image": {0: "images"}},
        opset_version=17,
        dynamo=False,
    )
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    model = openvino.Core().read_model(io.BytesIO(file.getvalue()))
    model.reshape({0: list(what.batch.shape)})
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", hints).create_infer_request()
    return {
        "onnx": lambda: session.run(None, {"image": what.batch}),
        "openvino": lambda: request.infer([what.batch])[0].copy(),
    }


def measure(case: Case, seconds: float) -> list[Turns]:
    """Measure one case, in this process."""
    what = subject(case.framework, case.model, logits=True)
    path = seewhy.Explainer(what.model).heatmaps(what.batch, [0]).layer
    variants: Variants = {"forward": what.forward}
    for runtime, forward in bare_forwards(what).items():
        explainer = seewhy.Explainer(what.model, backend=runtime)
        variants[f"{runtime} forward, 0"] = forward
        for count in COUNTS:
            variants[f"{runtime}, {count}"] = partial(explainer.heatmaps, what.batch, list(range(count)))
    for tool, explain in torch_tools(what, path).items():
        for count in PEERS[tool]:
            variants[f"{tool}, {count}"] = partial(explain, list(range(count)))
    return [turns(what, variants, seconds, slow=case.model == "VGG16")]  # whose 1,000 classes take 20 seconds


def figures(measured: Measured) -> list[Figure]:
    """Return what was measured as figures; `forward`, `runtime`, `onnx` and `openvino` are ratios to those."""
    found = []
    for case, (turn,) in measured:
        for variant, ms in turn.ms.items():
            tool, _, classes = variant.partition(", ")
            figure: Figure = {"title": case.title, "framework": case.framework, "model": case.model}
            figure |= {"images": turn.images, "side": turn.side, "rounds": len(ms), "tool": tool}
            figure |= {"classes": int(classes or 0), "ms": Spread.of(ms).numbers()}
            figure |= _ratios(turn.ms, variant)
            found.append(figure | {"goal": goal_of("runtimes", figure)})
    return found


def _ratios(times: Times, variant: str) -> dict[str, Any]:
    tool, _, classes = variant.partition(", ")
    found = {"forward": ratios(times, variant, "forward").numbers()}
    if tool in RUNTIMES:
        found["runtime"] = ratios(times, variant, f"{tool} forward, 0").numbers()
    if tool in PEERS:
        found |= {runtime: ratios(times, variant, f"{runtime}, {classes}").numbers() for runtime in RUNTIMES}
    return found


def rows(found: list[Figure]) -> list[Row]:
    """Return a row for each tool and number of classes."""
    return [
        {
            "": figure["title"],
            "tool": figure["tool"],
            "classes": str(figure["classes"] or ""),
            "ms": shown(figure["ms"], 1),
            "/ PyTorch's forward": shown(figure["forward"]),
            "/ the runtime's forward": shown(figure["runtime"]) if "runtime" in figure else "",
            "/ SeeWhy, onnx": shown(figure["onnx"]) if "onnx" in figure else "",
            "/ SeeWhy, openvino": shown(figure["openvino"]) if "openvino" in figure else "",
            "goal": "" if figure["goal"] is None else f"{figure['goal']:g}",
            "rounds": str(figure["rounds"]),
        }
        for figure in found
    ]


def publish_all(measured: Measured) -> None:
    """Publish the table."""
    found = figures(measured)
    title = "Explanations in ONNX Runtime and OpenVINO, one image; medians, and the middle half of the rounds"
    publish("runtimes", title, rows(found), raw(measured), machine(*PACKAGES), found)
    goals = [judged(goal, found) for goal in GOALS if goal.result == "runtimes"]
    publish("runtimes-goals", "The goals of ONNX Runtime and OpenVINO, and the medians", goals, {}, machine(*PACKAGES))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main("runtimes", CASES, measure, publish_all, SECONDS)
