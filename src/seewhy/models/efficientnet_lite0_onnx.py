"""EfficientNet-Lite0 as an ONNX graph, with the same weights as `efficientnet_lite0`.

Batch normalisation is folded into the convolutions: the graph has half the nodes and is built and started sooner. The
value of a folded convolution has the name of its batch normalisation, whose output it is.
"""

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from seewhy.models.efficientnet_lite0 import (
    CLASSES,
    HEAD_FILTERS,
    PREPROCESSING,
    STAGES,
    STEM_FILTERS,
    WEIGHTS_SHA256,
    Stage,
    blocks,
    weights_path,
)
from seewhy.models.legacy_torch_file import StateDict, read_state_dict

OPSET, IR_VERSION = 17, 8
EPSILON = 1e-3
SEED = 0

Array = NDArray[np.float32]


class Weights(Protocol):
    """Where the graph's weights come from."""

    def convolution(self, name: str, shape: tuple[int, int, int, int]) -> tuple[Array, Array]:
        """Return the kernel (out, in, h, w) and the bias of a convolution with its batch normalisation in them."""

    def dense(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """Return the matrix (out, in) and the bias of the last layer."""


def build_onnx(*, pretrained: bool) -> onnx.ModelProto:
    """Build the model as an ONNX graph.

    Args:
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.

    Returns:
        An `onnx.ModelProto`: "image", float32 (N, 3, 224, 224), preprocessed by `PREPROCESSING`, to "probabilities",
        (N, 1000). Its values have the names of the layers of the other builds: "block1a_depthwise_relu6".

    Raises:
        MissingExtraError: `pretrained` is True, and the package with the weights is not installed.
        WeightsError: The weights file is damaged or has another hash.
    """
    weights = FileWeights(read_state_dict(weights_path(), WEIGHTS_SHA256)) if pretrained else RandomWeights()
    return _Builder(weights).model()


class FileWeights:
    """The weights of the file."""

    def __init__(self, state: StateDict) -> None:
        self._state = state
        self._names = dict(_file_names())

    def convolution(self, name: str, shape: tuple[int, int, int, int]) -> tuple[Array, Array]:
        """Fold the batch normalisation into the kernel and the bias."""
        convolution, norm = self._names[name]
        gamma, beta, mean, variance = (
            self._state[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        kernel = self._state[f"{convolution}.weight"] * scale[:, None, None, None].astype(np.float32)
        return kernel, (beta - mean * scale).astype(np.float32)

    def dense(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """Return the weights as they are."""
        return self._state["_fc.weight"], self._state["_fc.bias"]


class RandomWeights:
    """Random weights from a fixed seed: kernels by He's initialization, and no bias."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(SEED)

    def convolution(self, name: str, shape: tuple[int, int, int, int]) -> tuple[Array, Array]:
        """Return a kernel that keeps the variance through a ReLU."""
        return self._normal(shape), np.zeros(shape[0], np.float32)

    def dense(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """Return a matrix likewise."""
        return self._normal(shape), np.zeros(shape[0], np.float32)

    def _normal(self, shape: tuple[int, ...]) -> Array:
        deviation = np.float32(math.sqrt(2 / math.prod(shape[1:])))
        return self._random.standard_normal(shape, np.float32) * deviation


class _Builder:
    """Builds the graph node by node."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._limits = [
            self._initializer("relu6.minimum", np.float32(0)),
            self._initializer("relu6.maximum", np.float32(6)),
        ]
        self._size = PREPROCESSING.size[0]  # of the value that was added last; all are square

    def model(self) -> onnx.ModelProto:
        """Return the whole graph."""
        x = self._convolution("image", "stem", (STEM_FILTERS, 3), kernel=3, stride=2)
        for name, stride, stage, filters_in in blocks():
            x = self._block(x, name, stage, stride, filters_in)
        x = self._convolution(x, "top", (HEAD_FILTERS, STAGES[-1].filters))
        x = self._node("GlobalAveragePool", [x], "avg_pool")
        x = self._node("Flatten", [x], "flatten")
        matrix, bias = self._weights.dense((CLASSES, HEAD_FILTERS))
        names = [self._initializer("predictions.weight", matrix), self._initializer("predictions.bias", bias)]
        x = self._node("Gemm", [x, *names], "predictions", transB=1)
        self._node("Softmax", [x], "probabilities", axis=1)
        image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 3, *PREPROCESSING.size])
        output = helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["N", CLASSES])
        graph = helper.make_graph(self._nodes, "efficientnet_lite0", [image], [output], self._initializers)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="seewhy")

    def _block(self, x: str, name: str, stage: Stage, stride: int, filters_in: int) -> str:
        """Inverted residual: expansion, depthwise convolution, projection; and the input added, if shapes allow."""
        shortcut, expanded = x, filters_in * stage.expansion
        if stage.expansion != 1:
            x = self._convolution(x, f"{name}_expand", (expanded, filters_in))
        x = self._convolution(
            x, f"{name}_depthwise", (expanded, 1), kernel=stage.kernel, stride=stride, groups=expanded
        )
        x = self._convolution(x, f"{name}_project", (stage.filters, expanded), activation=False)
        return self._node("Add", [x, shortcut], f"{name}_add") if stride == 1 and filters_in == stage.filters else x

    def _convolution(
        self,
        x: str,
        name: str,
        filters: tuple[int, int],
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> str:
        """Convolution with its batch normalisation, with TensorFlow's "same" padding, and, if `activation`, ReLU6."""
        weight, bias = self._weights.convolution(name, (*filters, kernel, kernel))
        names = [self._initializer(f"{name}_conv.weight", weight), self._initializer(f"{name}_conv.bias", bias)]
        size = -(-self._size // stride)
        padding = max(0, (size - 1) * stride + kernel - self._size)
        before, after = padding // 2, padding - padding // 2
        self._size = size
        x = self._node(
            "Conv",
            [x, *names],
            f"{name}_bn",
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        return self._node("Clip", [x, *self._limits], f"{name}_relu6") if activation else x

    def _node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def _initializer(self, name: str, values: Any) -> str:
        self._initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name


def _file_names() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the name of each convolution here, and the names of it and of its batch normalisation in the file."""
    yield "stem", ("_conv_stem", "_bn0")
    for number, (name, _, stage, _) in enumerate(blocks()):
        block = f"_blocks.{number}"
        if stage.expansion != 1:
            yield f"{name}_expand", (f"{block}._expand_conv", f"{block}._bn0")
        yield f"{name}_depthwise", (f"{block}._depthwise_conv", f"{block}._bn1")
        yield f"{name}_project", (f"{block}._project_conv", f"{block}._bn2")
    yield "top", ("_conv_head", "_bn1")
