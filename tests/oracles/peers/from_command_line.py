"""Explain a model with random weights from the command line, and return what was written."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.cli import main

IMAGE = np.random.default_rng(1).integers(0, 255, (60, 90, 3), dtype=np.uint8)
"""Noise; its sides are not those of any input."""


class Written(NamedTuple):
    """What was written of one target: the name of its layer and call, its JSON, and its heatmap (h, w)."""

    path: str
    call: int | None
    target: dict
    heatmap: np.ndarray

    def kept(self, outputs: list[torch.Tensor]) -> torch.Tensor:
        """Return the output of the call among all outputs of its layer."""
        return outputs[-1 if self.call is None else self.call - 1]


def explain(monkeypatch: pytest.MonkeyPatch, folder: Path, model: str, *options: str) -> Written:
    """Run `seewhy explain IMAGE --model MODEL --weights none`, and read the files that it wrote."""
    image = folder / "image.png"
    Image.fromarray(IMAGE).save(image)
    arguments = [
        "explain",
        image,
        "--model",
        model,
        "--weights",
        "none",
        "--format",
        "npz,json",
        "--out",
        folder / "out",
    ]
    monkeypatch.setattr(sys, "argv", ["seewhy", *map(str, arguments), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    (result,) = (folder / "out").glob("*.json")
    content, (heatmap,) = json.loads(result.read_text()), np.load(result.with_suffix(".npz"))["heatmaps"]
    path, _, call = content["layer"].partition("#")
    return Written(path, int(call) if call else None, content["targets"][0], heatmap)


def check(written: Written, activations: torch.Tensor, score: torch.Tensor, *, is_averaged: bool) -> None:
    """Compare a heatmap and a score with gradients times activations (1, K, h, w), by autograd.

    Args:
        written: What the command line wrote.
        activations: The output of the layer, in the graph of the score; or tokens (1, L, K), row by row.
        score: The score.
        is_averaged: Whether the gradients are averaged over space first, as in Grad-CAM.
    """
    np.testing.assert_allclose(written.target["score"], score.item(), rtol=1e-4, atol=1e-6)
    (gradients,) = torch.autograd.grad(score, activations)
    if activations.ndim == 3:
        activations, gradients = (
            part.transpose(1, 2).unflatten(2, written.heatmap.shape) for part in (activations, gradients)
        )
    gradients = gradients.mean(dim=(2, 3), keepdim=True) if is_averaged else gradients
    expected = (gradients * activations).sum(dim=1)[0].clamp(min=0).detach().numpy()
    np.testing.assert_allclose(written.heatmap, expected, atol=1e-4 * max(expected.max(), 1e-12), rtol=1e-4)
    assert written.target["has_evidence"] == bool(expected.max() > 0)
