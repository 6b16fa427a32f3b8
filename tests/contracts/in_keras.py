"""The reference model in Keras, on the backend of this process; `in_torch` has the same functions."""

import math

import keras
import numpy as np
from keras import layers, ops
from tests.contracts import reference
from tests.contracts.transformer_in_keras import transformer
from tests.sample_models import predict, state, weight_array

__all__ = ["predict", "state", "transformer"]

NAME = f"keras-{keras.backend.backend()}"

ENDINGS = {
    "argument": "softmax",
    "layer": lambda x: layers.Softmax()(x),
    "function": ops.softmax,
    "log-softmax": ops.log_softmax,
    "none": lambda x: x,
}
"""Ways to make class probabilities, or not, of logits."""


def given(inputs):
    """Return inputs (N, *space, K) as this framework's models take them."""
    return inputs


def path(*names):
    """Return the path of a layer in a layer in a layer."""
    return "/".join(names)


def parts(size=reference.SIZE, activation=None, classes=reference.CLASSES):
    """Return the layers, not built yet."""
    convolution = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[len(size)]
    return (
        convolution(8, 3, padding="same", activation="relu", name="first"),
        convolution(6, 3, activation="relu", name="features"),
        layers.Flatten(name="flatten"),
        layers.Dense(classes, activation=activation, name="dense"),
    )


def weighted(model, size=reference.SIZE, classes=reference.CLASSES, scale=1.0):
    """Give a built model the reference's weights, by the names of its layers; the dense layer's times `scale`."""
    kernels, biases = reference.weights(size, classes)
    for layer in model._flatten_layers(include_self=False):
        if layer.name in kernels:
            factor = scale if layer.name == "dense" else 1.0
            layer.set_weights([factor * kernels[layer.name], factor * biases[layer.name]])
    return model


def plain(size=reference.SIZE, ending="argument", classes=reference.CLASSES, scale=1.0):
    """Build it as a Sequential, or with another ending as a Functional."""
    if isinstance(ENDINGS[ending], str):
        model = keras.Sequential([keras.Input((*size, 3)), *parts(size, ENDINGS[ending], classes)])
    else:
        model = ended(ENDINGS[ending], size, classes)
    return weighted(model, size, classes, scale)


def ended(ending, size=reference.SIZE, classes=reference.CLASSES):
    image = keras.Input((*size, 3))
    first, features, flatten, dense = parts(size, None, classes)
    return keras.Model(image, ending(dense(flatten(features(first(image))))))


def sigmoids(classes):
    """Build it with a sigmoid for each class; of one class, with a single unit."""
    return weighted(ended(layers.Activation("sigmoid"), classes=classes), classes=classes)


def negative():
    """Build it so that every gradient is negative: nothing speaks for any class."""
    model = plain()
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([-np.abs(kernel), bias])
    return model


def damaged():
    """Build it with weights that are no numbers."""
    model = plain()
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([kernel * np.nan, bias])
    return model


def cut_off():
    """Build it so that no gradient reaches the maps."""
    image = keras.Input((*reference.SIZE, 3))
    first, features, flatten, dense = parts()
    return weighted(keras.Model(image, dense(flatten(ops.stop_gradient(features(first(image)))))))


class Subclassed(keras.Model):
    """It in its own `call`, which fails where it is told to; with a layer that is never called."""

    is_broken = False

    def __init__(self):
        super().__init__()
        self.first, self.features, self.flatten, self.dense = parts()
        self.spare = layers.Conv2D(2, 1, name="spare")
        self.spare.build((None, *reference.SIZE, 3))

    def call(self, image):
        logits = self.dense(self.flatten(self.features(self.first(image))))
        if self.is_broken:
            raise ValueError("broken on purpose")
        return self.finished(logits)

    def finished(self, logits):
        return logits


def subclassed():
    model = Subclassed()
    model(np.zeros((1, *reference.SIZE, 3), np.float32))
    return weighted(model)


class SaysWhat(Subclassed):
    """Returns words beside its logits."""

    def finished(self, logits):
        return {"logits": logits, "unit": "metre"}


def says_what():
    model = SaysWhat()
    model(np.zeros((1, *reference.SIZE, 3), np.float32))
    return weighted(model)


def unbuilt():
    """Return a model that has no weights yet, and its name."""
    return keras.Sequential([layers.Dense(2)], name="blank"), "blank"


def nested(depth=1):
    """Build it with its convolutions in a base; with a depth of 2, in a base in a base."""
    image = keras.Input((*reference.SIZE, 3))
    first, features, flatten, dense = parts()
    base = keras.Model(image, features(first(image)), name="base")
    for level in range(depth - 1):
        outer = keras.Input((*reference.SIZE, 3))
        base = keras.Model(outer, base(outer), name=f"outer{level or ''}")
    return weighted(keras.Sequential([keras.Input((*reference.SIZE, 3)), base, flatten, dense]))


def of_the_same_name():
    """Build it with two layers called "features"."""
    image = keras.Input((*reference.SIZE, 3))
    _, features, flatten, dense = parts()
    inner = keras.Input((*reference.SIZE, 3))
    left = keras.Model(inner, layers.Conv2D(3, 1, name="features")(inner), name="left")
    right = keras.Input((*reference.SIZE, 3))
    right = keras.Model(right, features(right), name="right")
    return keras.Model(image, dense(flatten(right(left(image)))))


class Siamese(Subclassed):
    """Subclassed, for Keras itself decides in which order a Functional model runs two branches."""

    def call(self, images):
        one, two = (self.dense(self.flatten(self.features(self.first(images[name])))) for name in ("one", "two"))
        return one + two


def siamese():
    """Build it to run twice, on images "one" and "two": its logits are the sum of both."""
    model = Siamese()
    model({name: np.zeros((1, *reference.SIZE, 3), np.float32) for name in ("one", "two")})
    return weighted(model)


def several(structure):
    """Build it to take the sum of two inputs, "one" and "two", and to give the logits and the inputs' difference.

    Inputs and outputs are in a list, a tuple or a dict, the outputs of which are "answer" and "pixels".
    """
    one, two = (keras.Input((*reference.SIZE, 3), name=name) for name in ("one", "two"))
    first, features, flatten, dense = parts()
    answer = dense(flatten(features(first(layers.Add()([one, two])))))
    pixels = layers.Flatten(name="pixels")(layers.Subtract()([one, two]))
    if structure is dict:
        return weighted(keras.Model({"one": one, "two": two}, {"answer": answer, "pixels": pixels}))
    return weighted(keras.Model(structure([one, two]), structure([answer, pixels])))


def trained_further(model, scale):
    """Change the weights of a model's last layer."""
    layer = model.get_layer("dense")
    layer.set_weights([scale * weight_array(weight) for weight in layer.weights])


def with_flat(x, maps):
    """Return the pooled maps beside the first position of the maps themselves."""
    return layers.Concatenate()([x, layers.Flatten()(maps[:, :1, :1])])


READINGS = {
    "mean": lambda x: layers.GlobalAveragePooling2D()(x),
    "mean, axes kept": lambda x: layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(x)),
    "mean, as a function": lambda x: ops.mean(x, axis=(1, 2)),
    "mean, dropped out": lambda x: layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(layers.Dropout(0.5)(x))),
    "mean, bent": lambda x: layers.Dense(16, "gelu", name="bent")(layers.GlobalAveragePooling2D()(x)),
    "all": lambda x: layers.Flatten()(x),
    "maximum": lambda x: layers.GlobalMaxPooling2D()(x),
    "mean of squares": lambda x: layers.GlobalAveragePooling2D()(x * x),
    "mean of rows": lambda x: layers.Flatten()(ops.mean(x, axis=1)),
    "mean over the batch too": lambda x: ops.mean(x, axis=(1, 2)) + ops.mean(x, axis=(0, 1, 2)),
    "mean and one more": lambda x: with_flat(layers.GlobalAveragePooling2D()(x), x),
    "mean and maximum": lambda x: layers.GlobalAveragePooling2D()(x) + layers.GlobalMaxPooling2D()(x),
}
"""What may stand between the maps and the dense layer."""


def reading(what, classes, ending="argument"):
    """Build a model whose head reads the maps in one of these ways; its weights are random."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    maps = layers.Conv2D(6, 3, activation="relu", name="features")(image)
    logits = layers.Dense(classes, name="dense")(READINGS[what](maps))
    end = ENDINGS[ending]
    return keras.Model(image, ops.softmax(logits) if isinstance(end, str) else end(logits))


def standardize(x):
    """Give every image the mean 0 and the standard deviation 1."""
    return (x - ops.mean(x, (1, 2, 3), keepdims=True)) / (ops.std(x, (1, 2, 3), keepdims=True) + 1e-5)


def pad(x, rows, columns):
    return ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))


STEPS = {
    "nothing": lambda x: x,
    "scale": lambda x: x / 127.5,
    "swap channels": lambda x: ops.flip(x, 3),
    "crop": lambda x: x[:, 4:28, 10:34],
    "scale and crop": lambda x: (x / 127.5)[:, 4:28, 10:34],
    "standardize and crop": lambda x: standardize(x)[:, 4:28, 10:34] + 1,
    "shrink": lambda x: ops.image.resize(x, (16, 24)),
    "crop and enlarge": lambda x: ops.image.resize(x[:, 8:24, 8:40], (32, 64)),
    "pad": lambda x: pad(x, 8, 12),
    "letterbox": lambda x: pad(ops.image.resize(x, (24, 36)), 6, 0),
    "pad for a convolution": lambda x: pad(x, 2, 2),
    "mirror": lambda x: ops.flip(x, 2),
    "transpose": lambda x: ops.transpose(x, (0, 2, 1, 3)),
}
"""What a model may do to its input before the first convolution."""


def brightness(step, size, is_layer=False, channels=3):
    """Build a model whose score is the brightness of what `step` leaves of an image; `is_layer` names its input."""
    image = keras.Input((*size, channels))
    x = STEPS[step](layers.ReLU(name="before")(image) if is_layer else image)
    kernel = 5 if step == "pad for a convolution" else 1
    maps = layers.Conv2D(2, kernel, name="features", kernel_initializer="ones", use_bias=False)(x)
    mean = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(image, layers.Dense(1, kernel_initializer="ones")(mean))


def attended(x):
    """Return each image's maps as a mixture of those of all images, by their similarity."""
    flat = ops.reshape(x, (-1, math.prod(x.shape[1:])))
    return ops.reshape(ops.softmax(flat @ ops.transpose(flat) / 100) @ flat, (-1, *x.shape[1:]))


class BatchStatistics(layers.BatchNormalization):
    """Normalises by statistics of the batch in inference mode too."""

    def call(self, x):
        return super().call(x, training=True)


MIXINGS = {
    "batch statistics": lambda x: BatchStatistics()(x),
    "moments": lambda x: (x - ops.mean(x, (0, 1, 2))) / ops.std(x, (0, 1, 2)),
    "mean": lambda x: x + 0.5 * ops.mean(x, 0, keepdims=True),
    "attention": attended,
    "those before": lambda x: ops.cumsum(x, 0),
    "those after": lambda x: ops.flip(ops.cumsum(ops.flip(x, 0), 0), 0),
}
"""Ways in which the images of a batch influence each other."""


def mixing(how, where):
    """Build it so that images influence each other before the maps, in the "trunk", or after them, in the "head"."""
    image = keras.Input((*reference.SIZE, 3))
    first, features, flatten, dense = parts()
    before, after = ((MIXINGS[how] if where == part else layers.Identity()) for part in ("trunk", "head"))
    return weighted(keras.Model(image, dense(flatten(after(features(before(first(image))))))))


def class_token(depth=2, size=16, tokens="first"):
    """Build a small transformer whose class token alone is read; or whose "mean" of all tokens is."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    patches = layers.Conv2D(size, 3, strides=3, name="patches")(image)
    x = layers.Reshape((-1, size), name="tokens")(patches)
    class_part = layers.Dense(size, name="class_token")(ops.zeros_like(x[:, :1]) + 1)
    x = layers.Concatenate(axis=1, name="all_tokens")([class_part, x])
    for block in range(depth):
        normal = layers.LayerNormalization(name=f"before_attention_{block}")(x)
        x = layers.Add(name=f"attended_{block}")([x, layers.MultiHeadAttention(2, 8)(normal, normal)])
        x = layers.Add(name=f"block_{block}")(
            [x, layers.Dense(size, "gelu", name=f"mlp_{block}")(layers.LayerNormalization()(x))]
        )
    x = layers.LayerNormalization(name="norm")(x)
    read = x[:, 0] if tokens == "first" else ops.mean(x, 1)
    return keras.Model(image, layers.Dense(reference.CLASSES, name="dense")(read))


def path_of_block(number):
    """Return the path of the output of a block of that transformer."""
    return f"block_{number}"


def recurrent():
    """Build a network over columns, the last step of whose last recurrent layer is read."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="features")(image)
    x = layers.Dense(32, name="columns")(layers.Reshape((10, 32))(x))
    x = layers.SimpleRNN(6, return_sequences=True, name="steps")(x)
    return keras.Model(image, layers.Dense(reference.CLASSES, name="dense")(x[:, -1]))


def maximum_pooled():
    """Build a network that reads the maximum of each of two maps."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    maps = layers.Conv2D(2, 3, name="features")(image)
    return keras.Model(image, layers.Dense(reference.CLASSES)(layers.GlobalMaxPooling2D()(maps)))


def mapped(is_flat=False):
    """Build a network that gives a score for each class at each position, on demand as one vector."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    scores = layers.Conv2D(4, 1)(layers.Conv2D(6, 3, name="features")(image))
    return keras.Model(image, layers.Flatten()(scores) if is_flat else scores)


def in_type(name, scale=1.0):
    """Build it to compute in "float16" or "bfloat16", with weights in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name if name == "float32" else f"mixed_{name}")
    try:
        return plain(scale=scale)
    finally:
        keras.config.set_dtype_policy(before)


def sequence_first():
    """Build a network whose layer "norm" is given 4 tokens as (tokens, images, channels)."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    tokens = layers.Reshape((4, 6))(layers.Conv2D(6, (6, 5), strides=(6, 5), name="patches")(image))
    normal = layers.LayerNormalization(name="norm")(ops.transpose(tokens, (1, 0, 2)))
    return keras.Model(image, layers.Dense(reference.CLASSES, name="dense")(ops.mean(normal, 0)))


AFTER = {
    "transposed": lambda x: ops.transpose(x, (0, 2, 1, 3)),
    "cropped": lambda x: x[:, :5],
    "mirrored": lambda x: x,
}
"""What a model may do to its maps."""


last_right_layer = "features"
"""The last layer of `misread` with the axes of the image."""


def misread(how):
    """Build a network whose layer "late" has other axes than the image, or in which all layers have."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    mirror = layers.EinsumDense("ncwk,cd->ndwk", (*reference.SIZE, 3), name="mirror")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(mirror(image))
    x = layers.Conv2D(6, 1, name="late")(AFTER[how](x))
    mirror.set_weights([np.eye(reference.SIZE[0])[:: -1 if how == "mirrored" else 1]])
    return keras.Model(image, layers.Dense(reference.CLASSES, name="dense")(layers.Flatten(name="flat")(x)))


def bypassed(how):
    """Build a network of whose score much bypasses its last layer with positions, "branch"."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(image)
    if how == "attention pooling":
        value = layers.Dense(6, name="value")(x)
        key = layers.Dense(1, name="branch", kernel_initializer="ones")(x)
        weights = ops.softmax(ops.reshape(key, (-1, 1, math.prod(reference.SIZE))))
        read = ops.matmul(weights, ops.reshape(value, (-1, math.prod(reference.SIZE), 6)))[:, 0]
    else:
        branch = layers.Conv2D(6, 3, padding="same", name="branch")(x)
        mean = layers.GlobalAveragePooling2D()
        read = mean(branch) + layers.Dense(6, name="auxiliary")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(reference.CLASSES, name="dense")(read))


def mixed_tokens():
    """Build a network with a convolution along the 16 values of 12 tokens, as if they were positions."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*reference.SIZE, 3))
    patches = layers.Conv2D(16, 3, strides=3, name="patches")(image)
    tokens = layers.Permute((2, 1), name="turned")(layers.Reshape((-1, 16), name="tokens")(patches))
    mixed = layers.Conv1D(8, 3, padding="same", name="mixed")(tokens)
    return keras.Model(image, layers.Dense(reference.CLASSES, name="dense")(layers.Flatten(name="flat")(mixed)))


def renamed(model):
    """Return a model with other names of all its layers and of their classes."""
    text = model.to_json()
    for number, layer in enumerate(model.operations):
        text = text.replace(f'"{layer.name}"', f'"thing{number}"')
    other = keras.models.model_from_json(text)
    other.set_weights(model.get_weights())
    for layer in other.layers:
        layer.__class__ = type("Thing", (type(layer),), {})
    return other
