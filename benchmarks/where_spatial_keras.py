"""The models of `where_spatial_torch` in Keras, written once for all of its backends. Inputs are channels last."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from benchmarks.where_spatial_data import CLASSES
from keras import layers
from numpy.typing import NDArray

EPSILON = 1e-5
CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
POOLINGS = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
MEANS = {1: layers.GlobalAveragePooling1D, 3: layers.GlobalAveragePooling3D}

Size = int | tuple[int, ...]


def block(x: Any, axes: int, width: int, kernel: int = 3) -> Any:
    """Apply a convolution, batch normalization and ReLU."""
    x = CONVOLUTIONS[axes](width, kernel, padding="same")(x)
    return layers.ReLU()(layers.BatchNormalization(epsilon=EPSILON)(x))


def pooled(x: Any, axes: int, widths: tuple[int, ...], pools: tuple[Size, ...]) -> Any:
    """Return the logits of convolutions, the mean of all positions, and a dense layer."""
    for level, width in enumerate(widths):
        x = block(x, axes, width, kernel=1 if level == len(widths) - 1 else 3)
        for pool in pools[level : level + 1]:
            x = POOLINGS[axes](pool)(x)
    return layers.Dense(CLASSES, name="head")(MEANS[axes]()(x))


def by_frame(x: Any) -> Any:
    """Return the logits of a convolutional model of each frame, (N, frames, h, w, K)."""
    for level, width in enumerate((12, 16, 24)):
        x = layers.TimeDistributed(layers.MaxPooling2D())(x) if level == 1 else x
        x = layers.TimeDistributed(layers.Conv2D(width, 3, padding="same"))(x)
        x = layers.ReLU()(layers.TimeDistributed(layers.BatchNormalization(epsilon=EPSILON))(x))
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
    return layers.Dense(CLASSES, name="head")(layers.GlobalAveragePooling1D()(x))


def unet(x: Any) -> Any:
    """Return the logits of each pixel, of three resolutions and two skip connections."""
    skips = []
    for level, width in enumerate((12, 24, 48)):
        x = block(layers.MaxPooling2D()(x) if level else x, 2, width)
        skips.append(x)
    for width, skip in zip((24, 12), skips[-2::-1], strict=True):
        x = block(layers.Concatenate()([layers.UpSampling2D()(x), skip]), 2, width)
    return layers.Conv2D(CLASSES + 1, 1, name="head")(x)


MODELS: dict[str, Callable[[Any], Any]] = {
    "unet": unet,
    "cnn-3d": lambda x: pooled(x, 3, (12, 16, 24), (2,)),
    "cnn-1d": lambda x: pooled(x, 1, (8, 16, 32, 32), (2, 2, 2)),
    "video-3d": lambda x: pooled(x, 3, (12, 16, 24), ((1, 2, 2),)),
    "video-frames": by_frame,
}


def build(name: str, sizes: tuple[int, ...], weights: Iterable[NDArray[np.float32]]) -> keras.Model:
    """Return a model with the weights that its counterpart in PyTorch has, see `where_spatial_torch.weight_arrays`."""
    given = keras.Input((*sizes, 1))
    model = keras.Model(given, MODELS[name](given), name=name.replace("-", "_"))
    pairs = zip(weights, model.weights, strict=True)
    model.set_weights([array.reshape(variable.shape) for array, variable in pairs])
    return model
