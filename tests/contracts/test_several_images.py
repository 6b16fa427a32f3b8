"""Models with several image inputs, on every Keras backend: a map of each image, by hand."""

import keras
import numpy as np
from keras import layers, ops

import seewhy

RANDOM = np.random.default_rng(0)
LEFT, RIGHT = (RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8) for _ in "ab")
KERNEL = RANDOM.standard_normal((3, 5)).astype(np.float32)
WEIGHTS = RANDOM.standard_normal((5, 2)).astype(np.float32)


class Siamese(keras.Model):
    """The weighted absolute difference of the mean features of two images, as a subclassed model."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = layers.Conv2D(5, 1, use_bias=False, name="conv"), layers.Dense(2, use_bias=False)

    def call(self, inputs):
        left, right = (ops.mean(self.conv(inputs[name]), axis=(1, 2)) for name in ("left", "right"))
        return self.dense(ops.abs(left - right))


def siamese(structure):
    """Return the subclassed model; or a functional one, whose tower is called on the second of its inputs first."""
    whole = Siamese()
    inputs = {name: keras.Input((4, 4, 3), name=name) for name in ("right", "left")}
    model = keras.Model(inputs, whole.call(inputs)) if structure is dict else whole
    model({name: np.zeros((1, 4, 4, 3), np.float32) for name in inputs})
    whole.conv.set_weights([KERNEL[None, None]])
    whole.dense.set_weights([WEIGHTS])
    return seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255, input_size=(4, 4))


def by_hand(left, right):
    """Return Grad-CAM's map (2, 4, 4) of each image, and the gradients (2, 3) of the scores by any of its pixels."""
    features = [image / np.float32(255) @ KERNEL for image in (left, right)]
    signs = np.sign(features[0].mean((0, 1)) - features[1].mean((0, 1)))
    by_feature = [sign * WEIGHTS.T / 16 for sign in (signs, -signs)]
    maps = [np.maximum(np.einsum("ijk,tk->tij", *pair), 0) for pair in zip(features, by_feature, strict=True)]
    return maps, [gradients @ KERNEL.T for gradients in by_feature]


def test_each_image_has_the_map_of_its_own_call_of_the_shared_layer():
    explainer = seewhy.Explainer(siamese(dict))
    (found,) = explainer.explain([{"left": LEFT, "right": RIGHT}], [0, 1])
    (swapped,) = explainer.explain({"right": LEFT, "left": RIGHT}, [0, 1])
    assert found.layers == {"left": "conv#1", "right": "conv#2"}
    maps, _ = by_hand(LEFT, RIGHT)
    for name, other, expected in zip(("left", "right"), ("right", "left"), maps, strict=True):
        np.testing.assert_allclose(found[name].heatmaps, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(swapped[other].heatmaps, found[name].heatmaps, rtol=1e-6, atol=1e-8)
    assert found["left"].predictions == found["right"].predictions == swapped["left"].predictions


def test_methods_of_the_input_take_the_gradient_by_each_image():
    (found,) = seewhy.Explainer(siamese(Siamese), "saliency").explain([{"left": LEFT, "right": RIGHT}], [0, 1])
    for name, gradients in zip(("left", "right"), by_hand(LEFT, RIGHT)[1], strict=True):
        expected = np.broadcast_to(np.abs(gradients).max(axis=1)[:, None, None], (2, 4, 4))
        np.testing.assert_allclose(found[name].heatmaps, expected, rtol=1e-4, atol=1e-6)


def test_layers_name_the_inputs_that_they_are_computed_from():
    left, right, age = keras.Input((8, 8, 3), name="left"), keras.Input((6, 6, 3), name="right"), keras.Input((1,))
    first = layers.Conv2D(4, 1, name="left_conv")(left)
    second = layers.Conv2D(4, 3, padding="same", name="right_conv")(layers.ZeroPadding2D(1)(right))
    joined = layers.Conv2D(3, 1, name="joined")(layers.Concatenate()([first, second]))
    scores = layers.Dense(2)(layers.Concatenate()([layers.Flatten()(joined), layers.Dense(3)(age)]))
    classifier = seewhy.Classifier(keras.Model([left, right, age], scores))
    assert classifier.input_sizes == {"left": (8, 8), "right": (6, 6)}
    inputs = {call.path: call.inputs for call in seewhy.Explainer(classifier).layers()}
    assert inputs["left_conv"] == ("left",)
    assert inputs["right_conv"] == ("right",)
    assert inputs["joined"] == ("left", "right")
