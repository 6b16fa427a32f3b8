"""The models of the where-test in Keras, written once for all of its backends."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from benchmarks.where_images import CELL, COLOURS, Grid
from keras import layers, ops
from numpy.typing import NDArray

WIDTH = 32
HEADS = 2
CLASSES = len(COLOURS)
EPSILON = 1e-5
WINDOW = 4


class Prefix(layers.Layer):
    """Adds positions to tokens (N, L, K), and puts learned tokens before them."""

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__(**options)
        self.count = count

    def build(self, shape: Any) -> None:
        self.positions = self.add_weight(shape=(1, *shape[1:]))
        self.tokens = self.add_weight(shape=(1, self.count, shape[2])) if self.count else None

    def call(self, x: Any) -> Any:
        x = x + self.positions
        if self.tokens is None:
            return x
        return ops.concatenate([ops.broadcast_to(self.tokens, (ops.shape(x)[0], *self.tokens.shape[1:])), x], axis=1)


class SequenceFirst(layers.Layer):
    """Self-attention of tokens (L, N, K), with an explicit softmax."""

    def build(self, shape: Any) -> None:
        self.query, self.key, self.value, self.projection = (layers.Dense(WIDTH) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.projection):
            layer.build(shape)

    def call(self, x: Any) -> Any:
        length = x.shape[0]
        split = (length, -1, HEADS, WIDTH // HEADS)
        q, k, v = (ops.reshape(layer(x), split) for layer in (self.query, self.key, self.value))
        products = ops.einsum("qnhd,knhd->nhqk", q, k) * (WIDTH // HEADS) ** -0.5
        mixed = ops.einsum("nhqk,knhd->qnhd", ops.softmax(products), v)
        return self.projection(ops.reshape(mixed, (length, -1, WIDTH)))


class Windows(layers.Layer):
    """Self-attention within windows of 4 x 4 positions of (N, h, w, K), which may be shifted by half a window."""

    def __init__(self, shift: int, **options: Any) -> None:
        super().__init__(**options)
        self.shift = shift
        self.attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)

    def build(self, shape: Any) -> None:
        inside = (None, WINDOW**2, shape[-1])
        self.attention.build(inside, inside)

    def call(self, x: Any) -> Any:
        _, rows, columns, width = x.shape
        x = ops.roll(x, (-self.shift, -self.shift), (1, 2))
        x = ops.reshape(x, (-1, rows // WINDOW, WINDOW, columns // WINDOW, WINDOW, width))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, WINDOW**2, width))
        x = ops.reshape(self.attention(x, x), (-1, rows // WINDOW, columns // WINDOW, WINDOW, WINDOW, width))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, width))
        return ops.roll(x, (self.shift, self.shift), (1, 2))


class Scale(layers.Layer):
    """Scales each channel."""

    def build(self, shape: Any) -> None:
        self.gamma = self.add_weight(shape=shape[-1:])

    def call(self, x: Any) -> Any:
        return x * self.gamma


def normalize(x: Any) -> Any:
    """Apply a layer normalization as PyTorch's."""
    return layers.LayerNormalization(epsilon=EPSILON)(x)


def attend(x: Any) -> Any:
    """Apply Keras's self-attention."""
    return layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)


def block(x: Any, attention: Callable[[Any], Any]) -> Any:
    """Apply a block of a transformer, whose sums are operations and not layers."""
    x = x + attention(normalize(x))
    return x + layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, "gelu")(normalize(x)))


def vit(image: Any, blocks: int, prefix: int, *, is_sequence_first: bool = False) -> Any:
    """Return the logits of a ViT: of its first prefix token, or of the mean of all where it has none."""
    x = layers.Conv2D(WIDTH, CELL, CELL, name="patch_embed")(image)
    x = Prefix(prefix)(layers.Reshape((-1, WIDTH))(x))
    if is_sequence_first:
        x = ops.transpose(x, (1, 0, 2))
    for _ in range(blocks):
        x = block(x, SequenceFirst() if is_sequence_first else attend)
    x = normalize(x)
    if is_sequence_first:
        x = ops.transpose(x, (1, 0, 2))
    return layers.Dense(CLASSES, name="head")(x[:, 0] if prefix else layers.GlobalAveragePooling1D()(x))


def swin(image: Any) -> Any:
    """Return the logits of attention in windows and then in shifted windows, of patches of 8 x 8 pixels."""
    x = layers.Conv2D(WIDTH, CELL // 2, CELL // 2, name="patch_embed")(image)
    x = block(block(x, Windows(0)), Windows(2))
    x = layers.GlobalAveragePooling2D()(normalize(x))
    return layers.Dense(CLASSES, name="head")(x)


def cnn(image: Any) -> Any:
    """Return the logits of convolutions, pooling and a dense layer."""
    x = image
    for width in (8, 16, WIDTH):
        x = layers.Conv2D(width, 3, 2)(layers.ZeroPadding2D(1)(x))
        x = layers.ReLU()(layers.BatchNormalization(epsilon=EPSILON)(x))
    return layers.Dense(CLASSES, name="head")(layers.GlobalAveragePooling2D()(x))


def convnext(image: Any) -> Any:
    """Return the logits of a stem of patches and two residual blocks, whose sums are operations and not layers."""
    x = layers.Conv2D(WIDTH, 8, 8, name="stem")(image)
    for _ in range(2):
        branch = normalize(layers.DepthwiseConv2D(3, padding="same")(x))
        x = x + Scale()(layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, "gelu")(branch)))
    return layers.Dense(CLASSES, name="head")(layers.GlobalAveragePooling2D()(x))


MODELS: dict[str, Callable[[Any], Any]] = {
    "cnn": cnn,
    "convnext": convnext,
    "vit-class-2": lambda image: vit(image, blocks=2, prefix=1),
    "vit-class-4": lambda image: vit(image, blocks=4, prefix=1),
    "vit-mean-2": lambda image: vit(image, blocks=2, prefix=0),
    "vit-mean-4": lambda image: vit(image, blocks=4, prefix=0),
    "vit-registers": lambda image: vit(image, blocks=2, prefix=5),
    "vit-sequence-first": lambda image: vit(image, blocks=2, prefix=1, is_sequence_first=True),
    "swin": swin,
}


def build(name: str, grid: Grid, weights: Iterable[NDArray[np.float32]]) -> keras.Model:
    """Return a model with the weights that its counterpart in PyTorch has, see `where_torch.weight_arrays`."""
    image = keras.Input((grid[0] * CELL, grid[1] * CELL, 3))
    model = keras.Model(image, MODELS[name](image), name=name.replace("-", "_"))
    pairs = zip(weights, model.weights, strict=True)
    model.set_weights([array.reshape(variable.shape) for array, variable in pairs])
    return model
