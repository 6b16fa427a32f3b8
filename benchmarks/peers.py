"""What the peers take for the same heatmaps, on PyTorch and on Keras with TensorFlow: one and eight classes.

Each model is a process of its own, in which the bare forward pass and every tool take turns. Each tool is used as its
own documentation says, with the same weights, input, layer and threads. What can explain several classes after one
forward pass, or in one batch, is asked to; the others are called once for each class. The models end in logits. "by
hand" is no tool, but the floor: see `benchmarks.by_hand`.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.by_hand import Explain
from benchmarks.cases import Case, Measured, Turns, figures, main, raw, shown, turns
from benchmarks.forwards import Subject, subject
from benchmarks.interleaved import Variants, machine
from benchmarks.results import Figure, Row, publish

import seewhy
from benchmarks import by_hand

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

COUNTS = (1, 8)

CASES = (
    Case("torch", "MobileNetV2"),
    Case("torch", "ResNet50"),
    Case("torch", "VGG16"),
    Case("torch-channels-last", "ResNet50"),
    Case("keras-tensorflow", "ResNet50"),
    Case("keras-tensorflow", "Xception"),
    Case("keras-tensorflow", "VGG16"),
)
SECONDS = 8.0
PACKAGES = ("keras", "tensorflow", "torch", "captum", "torchcam", "grad-cam", "tf-keras-vis", "xplique")


def torch_tools(what: Subject, path: str, *, channels_last: bool = False) -> dict[str, Explain]:
    """Return the tools for native PyTorch, by name; the image has the layout of the weights."""
    import torch
    from captum.attr import LayerGradCam
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import GradCAM as TorchCam

    model, layer = what.model, what.model.get_submodule(path)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    inputs = torch.tensor(what.batch).to(memory_format=layout)
    captum = LayerGradCam(model, layer)

    def captum_s(classes: list[int]) -> object:
        return [captum.attribute(inputs, target=each, relu_attributions=True).detach() for each in classes]

    def grad_cam_s(classes: list[int]) -> object:
        with GradCAM(model, [layer]) as cam:  # its hooks stay on the model for as long as this is open
            return [cam(inputs, [ClassifierOutputTarget(each)]) for each in classes]

    def torchcam_s(classes: list[int]) -> object:
        with TorchCam(model, path) as cam:
            scores = model(inputs)
            return [cam(each, scores, retain_graph=each != classes[-1]) for each in classes]

    return {"captum": captum_s, "torchcam": torchcam_s, "pytorch-grad-cam": grad_cam_s}


def keras_tools(what: Subject, path: str) -> dict[str, Explain]:
    """Return the tools for Keras on TensorFlow, by name."""
    import numpy as np
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore
    from xplique.attributions import GradCAM

    model, batch, _ = what
    keras_vis, xplique = Gradcam(model, clone=False), GradCAM(model, batch_size=max(COUNTS), conv_layer=path)
    classes_of = model.output_shape[-1]

    def keras_vis_s(classes: list[int]) -> object:
        return keras_vis(CategoricalScore(classes), np.repeat(batch, len(classes), axis=0), penultimate_layer=path)

    def xplique_s(classes: list[int]) -> object:
        wanted = np.eye(classes_of, dtype=np.float32)[classes]
        return xplique.explain(np.repeat(batch, len(classes), axis=0), wanted)

    def notebook_s(classes: list[int]) -> object:
        return [_notebook(model, batch, path, each) for each in classes]

    return {"xplique": xplique_s, "tf-keras-vis": keras_vis_s, "notebook": notebook_s}


def _notebook(model: Any, batch: Any, path: str, index: int) -> Any:
    """Explain one class as notebooks do: a rebuilt model, an eager tape, pooled gradients."""
    import keras
    import tensorflow as tf

    rebuilt = keras.Model(model.inputs, [model.get_layer(path).output, model.output])
    with tf.GradientTape() as tape:
        activations, outputs = rebuilt(batch)
        score = outputs[:, index]
    pooled = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2))
    heatmap = tf.squeeze(activations[0] @ pooled[..., tf.newaxis])
    return (tf.maximum(heatmap, 0) / tf.reduce_max(heatmap)).numpy()


def _by_hand(framework: str, what: Subject, path: str) -> Explain:
    """Return the code by hand; the image has the layout of the weights."""
    if framework == "keras-tensorflow":
        return by_hand.of_tensorflow(what.model, path, what.batch)
    import torch

    layout = torch.channels_last if framework == "torch-channels-last" else torch.contiguous_format
    inputs = torch.tensor(what.batch).to(memory_format=layout)
    return by_hand.of_torch(what.model, path, inputs, lambda scores: scores, lambda output: output)


TOOLS: dict[str, Callable[[Subject, str], dict[str, Explain]]] = {
    "torch": torch_tools,
    "torch-channels-last": partial(torch_tools, channels_last=True),
    "keras-tensorflow": keras_tools,
}


def measure(case: Case, seconds: float) -> list[Turns]:
    """Measure one case, in this process: one class of every tool, and then eight."""
    what = subject(case.framework, case.model, logits=True)
    explainer = seewhy.Explainer(what.model)
    wanted = explainer.heatmaps(what.batch, list(range(max(COUNTS))))
    path = wanted.layer
    hand = _by_hand(case.framework, what, path)
    by_hand.check(hand(list(range(max(COUNTS)))), wanted.values[0])
    tools = {"seewhy": partial(explainer.heatmaps, what.batch), by_hand.TOOL: hand}
    tools |= TOOLS[case.framework](what, path)
    found = []
    for count in COUNTS:
        variants: Variants = {"forward": what.forward}
        variants |= {f"{tool}, {count}": partial(explain, list(range(count))) for tool, explain in tools.items()}
        found.append(turns(what, variants, seconds, slow=count > 1))
    return found


def rows(found: list[Figure]) -> list[Row]:
    """Return a row for each tool and model."""
    tools = dict.fromkeys((each["title"], each["tool"]) for each in found if each["tool"] != "forward")
    return [_row([each for each in found if (each["title"], each["tool"]) == tool]) for tool in tools]


def _row(of_tool: list[Figure]) -> Row:
    cells = {"": of_tool[0]["title"], "tool": of_tool[0]["tool"]}
    for each in of_tool:
        name = f"{each['classes']} class{'es' * (each['classes'] > 1)}"
        cells[f"{name}, ms"] = shown(each["ms"], 0)
        cells[f"{name} / SeeWhy"] = shown(each["seewhy"]) if "seewhy" in each else ""
        cells[f"goal, {name}"] = "" if each["goal"] is None else f"{each['goal']:g}"
        cells[f"rounds, {name}"] = str(each["rounds"])
    return cells


def publish_them(measured: Measured) -> None:
    """Publish the table."""
    found = figures("peers", measured)
    title = "The same heatmaps of other tools: one image; medians, and the middle half of the rounds"
    publish("peers", title, rows(found), raw(measured), machine(*PACKAGES), found)


if __name__ == "__main__":
    main("peers", CASES, measure, publish_them, SECONDS)
