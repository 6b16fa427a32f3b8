"""What the peers take for the same heatmaps: native PyTorch, ResNet-50, one and eight classes, all in one process.

pytorch-grad-cam and Captum explain one class a call, so eight classes are eight calls.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.forwards import subject
from benchmarks.interleaved import Spread, Times, Variants, interleave, machine, ratios
from benchmarks.results import publish

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LAYER = "layer4.2"
COUNTS = (1, 8)
GOAL = 20.0
"""How many times as long pytorch-grad-cam should take for eight classes."""


def tools(network: Any, inputs: Any, batch: Any) -> dict[str, Callable[[list[int]], object]]:
    """Return what explains classes, by the tool's name."""
    from captum.attr import LayerGradCam
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    import seewhy

    layer = network.get_submodule(LAYER)
    explainer, captum = seewhy.Explainer(network, layer=LAYER), LayerGradCam(network, layer)

    def captum_s(classes: list[int]) -> object:
        return [captum.attribute(inputs, target=each, relu_attributions=True).detach() for each in classes]

    def grad_cam_s(classes: list[int]) -> object:
        with GradCAM(network, [layer]) as cam:  # its hooks stay on the network for as long as this is open
            return [cam(inputs, [ClassifierOutputTarget(each)]) for each in classes]

    return {
        "seewhy": lambda classes: explainer.heatmaps(batch, classes),
        "captum": captum_s,
        "pytorch-grad-cam": grad_cam_s,
    }


def variants() -> Variants:
    """Return what takes turns: the bare forward pass, and every tool with one and with eight classes."""
    import torch

    network, batch, forward = subject("torch", "ResNet50")
    found: Variants = {"forward": forward}
    for name, explain in tools(network, torch.tensor(batch), batch).items():
        for count in COUNTS:
            found[f"{name}, {count}"] = partial(explain, list(range(count)))
    return found


def row(tool: str, times: Times) -> dict[str, str]:
    """Return the cells of one tool."""
    cells = {"": tool}
    for count in COUNTS:
        variant, of = f"{tool}, {count}", f"{count} class{'es' * (count > 1)}"
        cells[f"{of}, ms"] = Spread.of(times[variant]).shown(0)
        cells[f"{of} / forward"] = ratios(times, variant, "forward").shown(2)
        cells[f"{of} / seewhy"] = ratios(times, variant, f"seewhy, {count}").shown(1)
    return cells


def run(rounds: int) -> None:
    """Measure, and publish the table."""
    times = interleave(variants(), rounds)
    publish(
        "peers",
        f"The same heatmaps of other tools: native PyTorch, ResNet-50, {rounds} rounds; medians, and the middle half. "
        f"Goal: pytorch-grad-cam takes {GOAL:.0f} times as long for 8 classes",
        [row(tool, times) for tool in ("seewhy", "captum", "pytorch-grad-cam")],
        times,
        machine("torch", "torchvision", "captum", "grad-cam"),
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default 15)")
    run(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
