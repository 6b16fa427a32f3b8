"""What the peers take for the same heatmaps, on PyTorch and on Keras with TensorFlow: one and eight classes.

Each network is a process of its own, in which the bare forward pass and every tool take turns. Each tool is used as its
own documentation says, with the same weights, input, layer and threads. What can explain several classes after one
forward pass, or in one batch, is asked to; the others are called once for each class. The networks end in logits.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks.forwards import subject
from benchmarks.interleaved import Spread, Times, Variants, interleave, machine, ratios
from benchmarks.results import publish

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

COUNTS = (1, 8)

Explain = Callable[[list[int]], object]
"""Explains one picture for some classes."""


class Case(NamedTuple):
    """What is measured in one process, and the goals: how many times as long a peer should take, by classes."""

    framework: str
    network: str


CASES = (
    Case("torch", "VGG16"),
    Case("torch", "ResNet50"),
    Case("torch", "MobileNetV2"),
    Case("keras-tensorflow", "VGG16"),
    Case("keras-tensorflow", "ResNet50"),
    Case("keras-tensorflow", "Xception"),
)

GOALS = {
    ("torch", "captum", 1): 1.2,
    ("torch", "torchcam", 1): 1.2,
    ("torch", "pytorch-grad-cam", 1): 3.5,
    ("torch", "pytorch-grad-cam", 8): 25.0,
    ("keras-tensorflow", "xplique", 1): 1.15,
    ("keras-tensorflow", "tf-keras-vis", 1): 6.0,
    ("keras-tensorflow", "notebook", 1): 6.0,
}
"""How many times as long as SeeWhy a peer should take at least; for Keras, on ResNet-50."""


def torch_tools(network: Any, batch: Any, path: str) -> dict[str, Explain]:
    """Return the tools for native PyTorch, by name."""
    import torch
    from captum.attr import LayerGradCam
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import GradCAM as TorchCam

    layer, inputs = network.get_submodule(path), torch.tensor(batch)
    captum = LayerGradCam(network, layer)

    def captum_s(classes: list[int]) -> object:
        return [captum.attribute(inputs, target=each, relu_attributions=True).detach() for each in classes]

    def grad_cam_s(classes: list[int]) -> object:
        with GradCAM(network, [layer]) as cam:  # its hooks stay on the network for as long as this is open
            return [cam(inputs, [ClassifierOutputTarget(each)]) for each in classes]

    def torchcam_s(classes: list[int]) -> object:
        with TorchCam(network, path) as cam:
            scores = network(inputs)
            return [cam(each, scores, retain_graph=each != classes[-1]) for each in classes]

    return {"captum": captum_s, "torchcam": torchcam_s, "pytorch-grad-cam": grad_cam_s}


def keras_tools(network: Any, batch: Any, path: str) -> dict[str, Explain]:
    """Return the tools for Keras on TensorFlow, by name."""
    import numpy as np
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore
    from xplique.attributions import GradCAM

    keras_vis, xplique = Gradcam(network, clone=False), GradCAM(network, batch_size=max(COUNTS), conv_layer=path)
    classes_of = network.output_shape[-1]

    def keras_vis_s(classes: list[int]) -> object:
        return keras_vis(CategoricalScore(classes), np.repeat(batch, len(classes), axis=0), penultimate_layer=path)

    def xplique_s(classes: list[int]) -> object:
        wanted = np.eye(classes_of, dtype=np.float32)[classes]
        return xplique.explain(np.repeat(batch, len(classes), axis=0), wanted)

    def notebook_s(classes: list[int]) -> object:
        return [_notebook(network, batch, path, each) for each in classes]

    return {"xplique": xplique_s, "tf-keras-vis": keras_vis_s, "notebook": notebook_s}


def _notebook(network: Any, batch: Any, path: str, index: int) -> Any:
    """Explain one class as notebooks do: a rebuilt network, an eager tape, pooled gradients."""
    import keras
    import tensorflow as tf

    rebuilt = keras.Model(network.inputs, [network.get_layer(path).output, network.output])
    with tf.GradientTape() as tape:
        activations, outputs = rebuilt(batch)
        score = outputs[:, index]
    pooled = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2))
    heatmap = tf.squeeze(activations[0] @ pooled[..., tf.newaxis])
    return (tf.maximum(heatmap, 0) / tf.reduce_max(heatmap)).numpy()


TOOLS = {"torch": torch_tools, "keras-tensorflow": keras_tools}


def measure(case: Case, rounds: int) -> Times:
    """Measure one case, in this process."""
    import seewhy

    network, batch, forward = subject(case.framework, case.network, logits=True)
    explainer = seewhy.Explainer(network)
    path = explainer.heatmaps(batch, [0]).layer
    tools = {"seewhy": partial(explainer.heatmaps, batch)} | TOOLS[case.framework](network, batch, path)
    variants: Variants = {"forward": forward}
    for name, explain in tools.items():
        for count in COUNTS:
            variants[f"{name}, {count}"] = partial(explain, list(range(count)))
    return interleave(variants, rounds)


def measure_alone(case: Case, rounds: int) -> Times:
    """Measure one case in a process of its own."""
    command = ["--framework", case.framework, "--network", case.network, "--rounds", str(rounds)]
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "--one", *command], check=True, stdout=subprocess.PIPE, text=True
    )
    times: Times = json.loads(found.stdout.splitlines()[-1])  # the tools print what they like before
    return times


def rows(case: Case, times: Times) -> list[dict[str, str]]:
    """Return the cells of every tool."""
    found = []
    for tool in dict.fromkeys(name.partition(",")[0] for name in times if name != "forward"):
        cells = {"": f"{case.framework}, {case.network}", "tool": tool}
        for count in COUNTS:
            variant, of = f"{tool}, {count}", f"{count} class{'es' * (count > 1)}"
            goal = GOALS.get((case.framework, tool, count))
            cells[f"{of}, ms"] = Spread.of(times[variant]).shown(0)
            cells[f"{of} / forward"] = ratios(times, variant, "forward").shown(2)
            cells[f"{of} / seewhy"] = ratios(times, variant, f"seewhy, {count}").shown(2)
            cells[f"{of}, goal"] = "" if goal is None else f"{goal:g}"
        found.append(cells)
    return found


def run(rounds: int, framework: str | None = None, network: str | None = None) -> None:
    """Measure the cases, all of them or those that were named, and publish the table."""
    cases = [each for each in CASES if framework in (None, each.framework) and network in (None, each.network)]
    if not cases:
        raise SystemExit(f"No such case; there are {[tuple(each) for each in CASES]}.")
    measured = {case: measure_alone(case, rounds) for case in cases}
    packages = ("keras", "tensorflow", "torch", "captum", "torchcam", "grad-cam", "tf-keras-vis", "xplique")
    publish(
        "peers",
        f"The same heatmaps of other tools: one picture, {rounds} rounds; medians, and the middle half of the rounds",
        [row for case, times in measured.items() for row in rows(case, times)],
        [{"framework": case.framework, "network": case.network, "ms": times} for case, times in measured.items()],
        machine(*packages),
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds (default 10)")
    parser.add_argument("--framework", help="only this framework")
    parser.add_argument("--network", help="only this network")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # print the times of one case as JSON
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(Case(arguments.framework, arguments.network), arguments.rounds)))
    else:
        run(arguments.rounds, arguments.framework, arguments.network)


if __name__ == "__main__":
    main()
