"""EfficientNet-Lite0 in native PyTorch, with the same weights as `efficientnet_lite0`."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.models.efficientnet_lite0 import (
    CLASSES,
    HEAD_FILTERS,
    STAGES,
    STEM_FILTERS,
    WEIGHTS_SHA256,
    Stage,
    blocks,
    weights_path,
)
from seewhy.models.legacy_torch_file import StateDict, read_state_dict

SEED = 0


def build_torch(*, pretrained: bool) -> nn.Module:
    """Build the model in PyTorch.

    Args:
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.

    Returns:
        An `nn.Module` in evaluation mode: float32 (N, 3, 224, 224), preprocessed by `PREPROCESSING`, to logits
        (N, 1000). Its layers are named as in the Keras model, with dots: "block1a.depthwise.conv". Its weights are in
        the channels-last memory format, which is faster on a CPU.

    Raises:
        MissingExtraError: `pretrained` is True, and the package with the weights is not installed.
        WeightsError: The weights file is damaged or has another hash.
    """
    with torch.random.fork_rng(devices=[]):  # restores the state of torch's random generator
        torch.manual_seed(SEED)
        model = _model()
    if pretrained:
        weights = dict(_torch_weights(read_state_dict(weights_path(), WEIGHTS_SHA256)))
        model.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
    # PyTorch documents this call, but its type annotations do not include it.
    channels_last: nn.Module = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return channels_last


def _model() -> nn.Sequential:
    """Return stem, blocks, top, and a linear layer that returns logits, with random weights."""
    model = nn.Sequential()
    model.add_module("stem", _convolution(3, STEM_FILTERS, kernel=3, stride=2))
    for name, stride, stage, filters_in in blocks():
        model.add_module(name, Block(stage, stride, filters_in))
    model.add_module("top", _convolution(STAGES[-1].filters, HEAD_FILTERS))
    model.add_module("avg_pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("top_dropout", nn.Dropout(0.2))
    model.add_module("predictions", nn.Linear(HEAD_FILTERS, CLASSES))
    return model


class Block(nn.Module):
    """An inverted residual: expansion, depthwise convolution, projection; and the input added, if shapes allow."""

    def __init__(self, stage: Stage, stride: int, filters_in: int) -> None:
        super().__init__()
        expanded = filters_in * stage.expansion
        self.expand = _convolution(filters_in, expanded) if stage.expansion != 1 else None
        self.depthwise = _convolution(expanded, expanded, kernel=stage.kernel, stride=stride, groups=expanded)
        self.project = _convolution(expanded, stage.filters, activation=False)
        self.is_residual = stride == 1 and filters_in == stage.filters

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, filters, h, w)."""
        expanded: Tensor = x if self.expand is None else self.expand(x)
        projected: Tensor = self.project(self.depthwise(expanded))
        return x + projected if self.is_residual else projected


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: with a stride, more at the bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, filters, ceil(h / stride), ceil(w / stride))."""
        (top, bottom), (left, right) = (self._padding(axis, x.shape[2 + axis]) for axis in (0, 1))
        convolved: Tensor = super().forward(nn.functional.pad(x, (left, right, top, bottom)))
        return convolved

    def _padding(self, axis: int, size: int) -> tuple[int, int]:
        steps = -(-size // self.stride[axis])
        padding = max(0, (steps - 1) * self.stride[axis] + self.kernel_size[axis] - size)
        return padding // 2, padding - padding // 2


def _convolution(
    filters_in: int, filters: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, activation: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation and, if `activation`, ReLU6."""
    layers = nn.Sequential()
    convolution = SameConv2d(filters_in, filters, kernel, stride, groups=groups, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    layers.add_module("conv", convolution)
    layers.add_module("bn", nn.BatchNorm2d(filters, eps=1e-3))
    if activation:
        layers.add_module("relu6", nn.ReLU6())
    return layers


def _torch_weights(state: StateDict) -> Iterator[tuple[str, Any]]:
    """Yield each weight by its name in this model, from the names in the file."""
    yield from _convolution_weights(state, "stem", "_conv_stem", "_bn0")
    for number, (name, _, stage, _) in enumerate(blocks()):
        block = f"_blocks.{number}"
        if stage.expansion != 1:
            yield from _convolution_weights(state, f"{name}.expand", f"{block}._expand_conv", f"{block}._bn0")
        yield from _convolution_weights(state, f"{name}.depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        yield from _convolution_weights(state, f"{name}.project", f"{block}._project_conv", f"{block}._bn2")
    yield from _convolution_weights(state, "top", "_conv_head", "_bn1")
    yield "predictions.weight", state["_fc.weight"]
    yield "predictions.bias", state["_fc.bias"]


def _convolution_weights(state: StateDict, name: str, convolution: str, norm: str) -> Iterator[tuple[str, Any]]:
    yield f"{name}.conv.weight", state[f"{convolution}.weight"]
    for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        yield f"{name}.bn.{part}", state[f"{norm}.{part}"]
