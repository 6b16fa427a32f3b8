"""Lets torchvision be imported where its compiled part was built for another build of torch.

torchvision is Python, but for a few compiled operators on boxes. Package indices have one torchvision for each version
of torch; where it was compiled for CUDA and torch for the CPU, the compiled part cannot be loaded, and `import
torchvision` fails on the operators that it would have brought. Models that classify need none of them.
"""

import importlib.util
from pathlib import Path

import torch

MISSED = ("nms", "qnms")
"""The operators of which torchvision tells torch more while it is imported."""


def declare_missing() -> None:
    """Declare the operators on boxes, without anything that computes them, where torchvision cannot bring its own."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("torchvision is not installed", name="torchvision")
    (library,) = Path(spec.origin).parent.glob("_C*")
    try:
        torch.ops.load_library(library)
    except OSError:
        for name in MISSED:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(
                    f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
