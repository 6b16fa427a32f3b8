"""The five tutorials' own formulas, each computed here as its author does, against SeeWhy told of the same conventions.

What differs: the score (probability or logit), the layer, whether channels are added up or averaged, how a map is
normalised, and how it is laid upon the image. The weights are random, from a fixed seed: the formulas are the same.
"""

from dataclasses import dataclass, field

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf

import seewhy
from seewhy.images.reading import read
from seewhy.train import digits

LOOKS = {
    "four panels": {"alpha": 0.4, "image_weight": 0.9},
    "digits": {"alpha": 1, "image_weight": 1 / 2.55, "rescale": "range"},
    "digits, a photo": {"alpha": 0.4, "image_weight": 1, "rescale": "range"},
    "step by step": {"alpha": 0.4, "image_weight": 1},
    "step by step, shown": {"alpha": 0.4, "image_weight": 1, "rescale": "max"},
    "transfer": {"alpha": 0.4, "normalization": "range"},
    "many classes": {"alpha": 0.4, "image_weight": 0.6},
}


@dataclass
class Tutorial:
    """One row of conventions."""

    model: str
    layer: str
    score: str
    channels: str
    looks: list[str] = field(default_factory=list)


TUTORIALS = {
    "digits, first convolution": Tutorial("digits", "conv2d", "probability", "sum", ["digits"]),
    "four panels, a small model": Tutorial("digits", "conv2d_1", "probability", "mean", ["four panels"]),
    "digits, a small model": Tutorial("digits", "conv2d_1", "probability", "sum", ["digits", "digits, a photo"]),
    "step by step, a small model": Tutorial(
        "digits", "conv2d_1", "probability", "mean", ["step by step", "step by step, shown"]
    ),
    "transfer, a small model": Tutorial("digits", "conv2d_1", "logit", "sum", ["transfer"]),
    "many classes, a small model": Tutorial("digits", "conv2d_1", "probability", "mean", ["many classes"]),
    "four panels": Tutorial("vgg16", "block5_conv3", "probability", "mean", ["four panels"]),
    "digits": Tutorial("vgg16", "block5_conv3", "probability", "sum", ["digits", "digits, a photo"]),
    "step by step": Tutorial("vgg16", "block5_conv3", "probability", "mean", ["step by step", "step by step, shown"]),
    "transfer": Tutorial("resnet50", "conv5_block3_out", "logit", "sum", ["transfer"]),
    "many classes, vgg16": Tutorial("vgg16", "block5_conv3", "probability", "mean", ["many classes"]),
    "many classes, xception": Tutorial("xception", "block14_sepconv2_act", "probability", "mean", ["many classes"]),
}


@pytest.fixture(scope="module")
def loaded():
    models = {}

    def load(name):
        if name not in models:
            models.clear()  # one at a time: each holds hundreds of megabytes
            is_digits = name == "digits"
            models[name] = digits.make_classifier(digits.build_model(seed=0)) if is_digits else seewhy.load(name, None)
        return models[name]

    return load


@pytest.fixture(scope="module")
def digit(examples):
    with np.load(examples / "data" / "digits_4000.npz") as file:
        return np.repeat(file["x_test"][0][..., None], 3, axis=-1)


def tutorial_heatmap(classifier, inputs, index, tutorial):
    """Return the map of one class, not normalised: rebuilt model, tape, pooled gradients, loop over channels, ReLU."""
    model = classifier.model
    last = model.layers[-1]
    features = last.input
    rebuilt = keras.Model(model.inputs[0], [model.get_layer(tutorial.layer).output, features])
    with tf.GradientTape() as tape:
        activations, before = rebuilt(inputs, training=False)
        outputs = tf.matmul(before, last.kernel) + last.bias
        if tutorial.score == "probability":
            outputs = tf.nn.softmax(outputs)
        score = outputs[:, index]
    pooled = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2)).numpy()
    weighted = activations[0].numpy()
    for channel in range(len(pooled)):
        weighted[..., channel] *= pooled[channel]
    combined = weighted.mean(axis=-1) if tutorial.channels == "mean" else weighted.sum(axis=-1)
    return np.maximum(combined, 0)


def tutorial_overlay(image, heatmap, style):
    """Return the image the tutorial shows: the map on the image's size, its colours, and the sum."""
    low = heatmap.min() if style.get("normalization") == "range" else 0
    normalized = ((heatmap - low) / (heatmap.max() - low)).astype(np.float32)
    size = image.shape[1::-1]
    large = np.asarray(tf.image.resize(normalized[..., None], size[::-1], "bilinear"))[..., 0]
    heat = matplotlib.colormaps["jet"](np.round(large * 255).astype(int))[..., :3] * 255
    total = image * style.get("image_weight", 1 - style["alpha"]) + heat * style["alpha"]
    if style.get("rescale") == "max":
        return total / total.max() * 255
    if style.get("rescale") == "range":
        return (total - total.min()) / (total.max() - total.min()) * 255
    return np.clip(total, 0, 255)


LARGE = pytest.mark.slow(reason="the tutorial's own model, of up to half a gigabyte; a small one shows the same")


@pytest.mark.parametrize(
    "name",
    [name if row.model == "digits" else pytest.param(name, marks=LARGE) for name, row in TUTORIALS.items()],
)
def test_a_tutorial_s_own_formula(name, loaded, digit, examples):
    tutorial = TUTORIALS[name]
    classifier = loaded(tutorial.model)
    image = read(digit if tutorial.model == "digits" else examples / "coffee.png")
    inputs = classifier.preprocess([image]).values
    method = seewhy.methods.get("gradcam", channels=tutorial.channels)
    explainer = seewhy.Explainer(classifier, method, layer=tutorial.layer, score=tutorial.score)
    classes = [int(index) for index in explainer.heatmaps(inputs, "top-4").indices[0]]
    (explanation,) = explainer.explain([image], [classes])
    shown = 0
    for position, index in enumerate(classes):
        expected = tutorial_heatmap(classifier, inputs, index, tutorial)
        found = explanation.heatmaps[position]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())
        if expected.max() == 0:
            continue
        shown += 1
        np.testing.assert_allclose(explanation.normalize()[position], expected / expected.max(), atol=1e-5)
        for style in tutorial.looks:
            overlay = explanation.overlay(position, colormap="jet", **LOOKS[style]).astype(float)
            difference = np.abs(overlay - tutorial_overlay(image, expected, LOOKS[style]))
            # A hundred-thousandth may make another of the 256 colours, whose neighbours differ by up to 4 of 255.
            assert difference.mean() < 0.5
            assert difference.max() <= 4 * LOOKS[style]["alpha"] + 1.5
    assert shown >= 1
    sides = {"digits": 28, "xception": 299}
    assert classifier.input_size == (sides.get(tutorial.model, 224),) * 2
    assert (
        explanation.heatmaps.shape[1:]
        == {
            "digits": (28, 28) if tutorial.layer == "conv2d" else (14, 14),
            "vgg16": (14, 14),
            "xception": (10, 10),
            "resnet50": (7, 7),
        }[tutorial.model]
    )
