"""Models for tests, on any Keras backend: one that can be checked on paper, and small ones of every build."""

import keras
import numpy as np
from keras import layers, ops

# The paper model. Input x, 2x2. One 1x1 convolution gives A^1 = x and A^2 = 3 - x. A dense layer over the
# flattened maps gives two logits, so that dy^c/dA is the dense layer's own weights, written here as maps.
PAPER_INPUT = np.array([[1, 2], [3, 4]], dtype=np.float32).reshape(1, 2, 2, 1)
PAPER_ACTIVATIONS = np.stack([[[1, 2], [3, 4]], [[2, 1], [0, -1]]], axis=-1).astype(np.float32)
PAPER_GRADIENTS = np.array(
    [
        [[[1, 2], [0, 1]], [[-8, 0], [4, 0]]],  # class 0: of A^1, of A^2; the means are 1 and -1
        [[[-1, -1], [-1, -1]], [[0, 0], [0, 0]]],  # class 1
    ],
    dtype=np.float32,
).transpose(0, 2, 3, 1)  # (class, u, v, channel)
PAPER_LOGITS = np.array([1 - 16 + 4 + 0 + 0 + 0 + 4 - 0, -(1 + 2 + 3 + 4)], dtype=np.float32)
PAPER_GRADCAM = np.array([[[0, 1], [3, 5]], [[0, 0], [0, 0]]], dtype=np.float32)  # ReLU(1 A^1 - 1 A^2); ReLU(-A^1)
PAPER_HIRESCAM = np.array([[[0, 4], [0, 4]], [[0, 0], [0, 0]]], dtype=np.float32)  # ReLU([[1-16, 4], [0, 4]])


def paper_layers(activation=None):
    """Return the paper model's layers, whose weights `set_paper_weights` sets once they are built."""
    return [
        layers.Conv2D(2, 1, name="conv"),
        layers.Flatten(name="flatten"),
        layers.Dense(2, activation=activation, name="dense"),
    ]


def set_paper_weights(convolution, dense) -> None:
    convolution.set_weights([np.array([1, -1], dtype=np.float32).reshape(1, 1, 1, 2), np.array([0, 3], np.float32)])
    dense.set_weights([PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])


def paper(ending):
    """Build the paper model; `ending` makes the outputs of the logits' layer, which it is given."""
    convolution, flatten, dense = paper_layers()
    image = keras.Input((2, 2, 1))
    model = keras.Model(image, ending(dense(flatten(convolution(image)))))
    set_paper_weights(convolution, dense)
    return model


def paper_sequential():
    convolution, flatten, dense = paper_layers("softmax")
    model = keras.Sequential([keras.Input((2, 2, 1)), convolution, flatten, dense], name="paper")
    set_paper_weights(convolution, dense)
    return model


def block(name, pool=False):
    """Return a small convolutional model, as a base for others to nest."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    x = layers.Conv2D(5, 3, padding="same", strides=2, name="last")(x)
    x = layers.ReLU(name="last_relu")(x)
    return keras.Model(image, layers.MaxPooling2D(name="pool")(x) if pool else x, name=name)


def nested(base):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip(name="flip"),
            layers.Rescaling(1 / 255, name="rescale"),
            base,
            layers.Dropout(0.2, name="dropout"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, "softmax", name="head"),
        ],
        name="transfer",
    )


def twice_nested():
    inner = block("inner")
    image = keras.Input((8, 8, 3))
    return nested(keras.Model(image, inner(image), name="outer"))


class Residual(layers.Layer):
    """A block that adds in its own call: the sum is no layer's output but its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = layers.Conv2D(3, 3, padding="same", name="conv")

    def call(self, inputs):
        return ops.relu(inputs + self.conv(inputs))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.blocks = [Residual(name="block_1"), Residual(name="block_2")]
        self.gap = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(3)

    def call(self, inputs):
        for each in self.blocks:
            inputs = each(inputs)
        return self.head(self.gap(inputs))


def built_subclassed():
    model = Subclassed()
    model(np.zeros((1, 8, 8, 3), np.float32))
    return model


def squeeze_and_excite():
    """MobileNetV3's shape: the last convolutions are 1x1 wide, and a branch of 1x1 outputs runs beside the maps."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, name="conv")(image)
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = layers.Conv2D(4, 1, activation="sigmoid", name="excite")(s)
    x = layers.Multiply(name="scale")([x, s])
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Conv2D(6, 1, activation="relu", name="head_conv")(x)
    return keras.Model(image, layers.Dense(3, "softmax")(layers.Flatten()(x)))


class Counting(Subclassed):
    """Counts how often Python runs through it, which is how often it is traced."""

    runs = 0

    def call(self, inputs):
        self.runs += 1
        return super().call(inputs)


class Unused(Subclassed):
    def __init__(self):
        super().__init__()
        self.spare = layers.Conv2D(1, 1, name="spare")


def state(model):
    """Everything about a model that a call could have changed, but for Keras's own note that it was called."""
    every = [model, *model._flatten_layers(include_self=False)]
    return {
        "weights": [weight_array(weight).tobytes() for weight in model.weights],
        "trainable": [layer.trainable for layer in every],
        "attributes": [
            {name: id(value) for name, value in vars(layer).items() if name != "_called"} for layer in every
        ],
        "losses": len(model.losses),
    }


def weight_array(weight):
    """Return a weight's values; the shorter ways warn on one backend or the other."""
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(weight))


def predict(model, inputs):
    """Run a model as it is at rest, on any backend, into NumPy."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))
