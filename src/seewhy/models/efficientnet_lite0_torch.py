"""EfficientNet-Lite0 in native PyTorch, with the same weights as `efficientnet_lite0`."""

from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor, nn

from seewhy.models.efficientnet_lite0 import (
    CLASSES,
    HEAD_FILTERS,
    STAGES,
    STEM_FILTERS,
    WEIGHTS_SHA256,
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
        (N, 1000). Its layers are named as in the Keras model. Its weights are in the channels-last memory format, which
        is faster on a CPU.

    Raises:
        MissingExtraError: `pretrained` is True, and the package with the weights is not installed.
        WeightsError: The weights file is damaged or has another hash.
    """
    with torch.random.fork_rng(devices=[]):  # restores the state of torch's random generator
        torch.manual_seed(SEED)
        model = EfficientNetLite0()
    if pretrained:
        weights = dict(_torch_weights(read_state_dict(weights_path(), WEIGHTS_SHA256)))
        model.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
    # PyTorch documents this call, but its type annotations do not include it.
    channels_last: nn.Module = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return channels_last


@final
class EfficientNetLite0(nn.Module):
    """The model, with random weights. All layers are its children, so they have the names of the Keras layers."""

    def __init__(self) -> None:
        super().__init__()
        self._add("stem", 3, STEM_FILTERS, kernel=3, stride=2)
        for name, stride, stage, filters_in in blocks():
            expanded = filters_in * stage.expansion
            if stage.expansion != 1:
                self._add(f"{name}_expand", filters_in, expanded)
            self._add(f"{name}_depthwise", expanded, expanded, kernel=stage.kernel, stride=stride, groups=expanded)
            self._add(f"{name}_project", expanded, stage.filters, activation=False)
            if stride == 1 and filters_in == stage.filters:
                self.add_module(f"{name}_add", Add())
        self._add("top", STAGES[-1].filters, HEAD_FILTERS)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.top_dropout = nn.Dropout(0.2)
        self.predictions = nn.Linear(HEAD_FILTERS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, 1000)."""
        x = self._convolution("stem", x)
        for name, *_ in blocks():
            x = self._block(name, x)
        x = self._convolution("top", x)
        logits: Tensor = self.predictions(self.top_dropout(self.flatten(self.avg_pool(x))))
        return logits

    def _block(self, name: str, x: Tensor) -> Tensor:
        """Inverted residual: expansion, depthwise convolution, projection; and the input added, if shapes allow."""
        shortcut = x
        for part in ("expand", "depthwise", "project"):
            x = self._convolution(f"{name}_{part}", x)
        add = self._modules.get(f"{name}_add")
        return x if add is None else add(x, shortcut)

    def _convolution(self, name: str, x: Tensor) -> Tensor:
        """Convolution, batch normalisation and ReLU6, as far as there are layers of this name."""
        for part in ("conv", "bn", "relu6"):
            layer = self._modules.get(f"{name}_{part}")
            x = x if layer is None else layer(x)
        return x

    def _add(
        self,
        name: str,
        filters_in: int,
        filters: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        """Add convolution, batch normalisation and, if `activation`, ReLU6."""
        convolution = SameConv2d(filters_in, filters, kernel, stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        self.add_module(f"{name}_conv", convolution)
        self.add_module(f"{name}_bn", nn.BatchNorm2d(filters, eps=1e-3))
        if activation:
            self.add_module(f"{name}_relu6", nn.ReLU6())


@final
class Add(nn.Module):
    """The sum of two values, as a layer that has a name."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the sum."""
        return x + other


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


def _torch_weights(state: StateDict) -> Iterator[tuple[str, Any]]:
    """Yield each weight by its name in this model, from the names in the file."""
    yield from _convolution_weights(state, "stem", "_conv_stem", "_bn0")
    for number, (name, _, stage, _) in enumerate(blocks()):
        block = f"_blocks.{number}"
        if stage.expansion != 1:
            yield from _convolution_weights(state, f"{name}_expand", f"{block}._expand_conv", f"{block}._bn0")
        yield from _convolution_weights(state, f"{name}_depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        yield from _convolution_weights(state, f"{name}_project", f"{block}._project_conv", f"{block}._bn2")
    yield from _convolution_weights(state, "top", "_conv_head", "_bn1")
    yield "predictions.weight", state["_fc.weight"]
    yield "predictions.bias", state["_fc.bias"]


def _convolution_weights(state: StateDict, name: str, convolution: str, norm: str) -> Iterator[tuple[str, Any]]:
    yield f"{name}_conv.weight", state[f"{convolution}.weight"]
    for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        yield f"{name}_bn.{part}", state[f"{norm}.{part}"]
