"""The models of the where-test for segmentations, volumes, signals and videos in native PyTorch, and their training."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from benchmarks.where_spatial_data import CLASSES, draw_scenes
from torch import nn
from torch.nn import functional

BATCH = 32
LEARNING_RATE = 4e-3
CHECK_EVERY = 20
ENOUGH = {"unet": 0.8, "cnn-3d": 0.99, "video-3d": 0.99, "video-frames": 0.99}
"""The agreement with which training ends: of predicted and true pixels of the shapes, by default of all answers."""

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}

POOLINGS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}

Size = int | tuple[int, ...]


def block(axes: int, given: int, made: int, kernel: int = 3) -> nn.Sequential:
    """Return a convolution, batch normalization and ReLU."""
    return nn.Sequential(
        CONVOLUTIONS[axes](given, made, kernel, padding=kernel // 2), NORMS[axes](made, momentum=0.3), nn.ReLU()
    )


def pooling_blocks(axes: int, widths: tuple[int, ...], pools: tuple[Size, ...], last: int = 1) -> nn.Sequential:
    """Return blocks of these widths, the first ones followed by pooling, the last one with a kernel of its own.

    So what a position sees is no larger than the objects are.
    """
    parts: list[nn.Module] = []
    for level, pair in enumerate(pairwise(widths)):
        parts.append(block(axes, *pair, kernel=last if level == len(widths) - 2 else 3))
        parts += [POOLINGS[axes](pool) for pool in pools[level : level + 1]]
    return nn.Sequential(*parts)


class Pooled(nn.Module):
    """Convolutions, the mean of all positions, and a linear layer."""

    def __init__(self, axes: int, widths: tuple[int, ...], pools: tuple[Size, ...]) -> None:
        super().__init__()
        self.blocks, self.head = pooling_blocks(axes, widths, pools), nn.Linear(widths[-1], CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x).flatten(2).mean(dim=2))


class Frames(nn.Module):
    """A convolutional model of each frame of (N, K, frames, h, w), and the mean over positions and frames."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.head = pooling_blocks(2, (1, 12, 16, 24), (2,), last=3), nn.Linear(24, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images, frames = x.shape[0], x.shape[2]
        x = self.blocks(x.transpose(1, 2).flatten(0, 1)).mean(dim=(2, 3))
        return self.head(x.reshape(images, frames, -1).mean(dim=1))


class UNet(nn.Module):
    """Three resolutions and two skip connections; classes and a background for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList((block(2, 1, 12), block(2, 12, 24), block(2, 24, 48)))
        self.up = nn.ModuleList((block(2, 72, 24), block(2, 36, 12)))
        self.head = nn.Conv2d(12, CLASSES + 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level, down in enumerate(self.down):
            x = down(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for up, skip in zip(self.up, skips[-2::-1], strict=True):
            x = up(torch.cat([functional.interpolate(x, scale_factor=2), skip], dim=1))
        return self.head(x)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "unet": UNet,
    "cnn-3d": lambda: Pooled(3, (1, 12, 16, 24), (2,)),
    "cnn-1d": lambda: Pooled(1, (1, 8, 16, 32, 32), (2, 2, 2)),
    "video-3d": lambda: Pooled(3, (1, 12, 16, 24), ((1, 2, 2),)),
    "video-frames": Frames,
}


def weight_arrays(model: nn.Module) -> Iterator[Any]:
    """Yield the weights in Keras's order and layout."""
    for module in model.modules():
        if isinstance(module, tuple(CONVOLUTIONS.values())):
            yield module.weight.permute(*range(2, module.weight.ndim), 1, 0)
            yield module.bias
        elif isinstance(module, nn.Linear):
            yield from (module.weight.T, module.bias)
        elif isinstance(module, tuple(NORMS.values())):
            yield from (module.weight, module.bias, module.running_mean, module.running_var)


def train(name: str, space: str, steps: int) -> tuple[nn.Module, float]:
    """Return a model that was trained until it names the objects in inputs that it has not seen, and how many it does.

    Args:
        name: A key of `MODELS`.
        space: Of its inputs.
        steps: The most steps.
    """
    torch.manual_seed(0)
    model = MODELS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE)
    seen, unseen = draw_scenes(space, 40 * BATCH, seed=1), draw_scenes(space, 128, seed=2)
    is_dense = name == "unet"
    answers = torch.tensor(seen.labels if is_dense else seen.present.astype(np.float32))
    inputs, tried = torch.tensor(seen.inputs), torch.tensor(unseen.inputs)
    reached = 0.0
    for step in range(1, steps + 1):
        chosen = torch.randint(len(inputs), (BATCH,))
        outputs = model.train()(inputs[chosen])
        loss_of = functional.cross_entropy if is_dense else functional.binary_cross_entropy_with_logits
        loss = loss_of(outputs, answers[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % CHECK_EVERY == 0:
            with torch.no_grad():
                scores = model.eval()(tried).numpy()
            reached = _agreement(scores, unseen.labels) if is_dense else float(((scores > 0) == unseen.present).mean())
            if reached >= ENOUGH.get(name, 1.0):
                break
    return model.eval(), reached


def _agreement(scores: Any, labels: Any) -> float:
    """Return the mean over the classes of the intersection of predicted and true pixels over their union."""
    found = scores.argmax(axis=1)
    pairs = [(found == kind, labels == kind) for kind in range(1, CLASSES + 1)]
    return float(np.mean([(ours & theirs).sum() / (ours | theirs).sum() for ours, theirs in pairs]))
