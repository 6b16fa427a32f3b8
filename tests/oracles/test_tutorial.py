"""An oracle: Grad-CAM as the tutorials compute it, from a rebuilt model and an eager gradient tape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seewhy
from seewhy.train import digits


def tutorial(model, layer, inputs, index):
    """Return (heatmap, logit) of one image and class.

    The tutorials' way: a second model that ends in the layer and in what goes into the last dense layer, whose
    softmax is left away; a tape around it; gradients pooled; channels summed; ReLU.
    """
    last = model.layers[-1]
    rebuilt = keras.Model(model.input, [model.get_layer(layer).output, last.input])
    with tf.GradientTape() as tape:
        activations, features = rebuilt(inputs, training=False)  # recorded because the weights are trainable
        logit = (tf.matmul(features, last.kernel) + last.bias)[:, index]
    gradients = tape.gradient(logit, activations)
    weights = tf.reduce_mean(gradients, axis=(0, 1, 2))
    return np.maximum((activations[0] @ weights[:, None])[..., 0], 0), float(logit[0])


@pytest.mark.parametrize(
    ("layer", "tolerance"),
    # Fourteen blocks follow the last of these. There float32 itself, ours and the tutorial's alike, is 2e-4 of the
    # maximum away from what the same model gives in float64.
    [("top_relu6", 1e-5), ("block5c_add", 1e-5), ("block3a_expand_relu6", 1e-3)],
)
def test_on_efficientnet_lite0(keras_lite0, examples, layer, tolerance):
    inputs = keras_lite0.preprocess([examples / "cat.png"]).values
    ours = seewhy.Explainer(keras_lite0, layer=layer).heatmaps(inputs, [282, 967])
    for position, index in enumerate((282, 967)):
        heatmap, logit = tutorial(keras_lite0.model, layer, inputs, index)
        assert heatmap.max() > 0
        np.testing.assert_allclose(ours.values[0, position], heatmap, atol=tolerance * heatmap.max())
        assert ours.scores[0, position] == pytest.approx(logit, rel=1e-5, abs=1e-5)


@pytest.mark.slow(reason="large models; EfficientNet-Lite0 shows the same")
@pytest.mark.parametrize(
    ("build", "layer"),
    [(keras.applications.VGG16, "block5_conv3"), (keras.applications.ResNet50, "conv5_block3_out")],
    ids=["vgg16", "resnet50"],
)
def test_on_seeded_architectures(build, layer):
    keras.utils.set_random_seed(0)
    model = build(weights=None)
    inputs = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32) * 50
    ours = seewhy.Explainer(model).heatmaps(inputs, list(range(6)))
    assert ours.layer == layer
    seen = 0
    for index in range(6):
        heatmap, logit = tutorial(model, layer, inputs, index)
        assert ours.scores[0, index] == pytest.approx(logit, rel=1e-5)
        np.testing.assert_allclose(ours.values[0, index], heatmap, atol=1e-5 * heatmap.max())
        seen += heatmap.max() > 0
    assert seen >= 2  # random classes may have no evidence; most of a random six do


def test_on_the_model_of_the_digits_recipe(tmp_path, examples):
    """The code of a tutorial explains the saved model: it rebuilds it from `model.input` and `model.output`."""
    digits.make_classifier(digits.build_model(seed=0)).save(tmp_path / "model.keras")
    classifier = seewhy.load(tmp_path / "model.keras")
    model = classifier.model
    with np.load(examples / "data" / "digits_4000.npz") as file:
        inputs = file["x_test"][:1, ..., None].astype(np.float32) / 255
    rebuilt = keras.models.Model(model.input, [model.get_layer("conv2d_1").output, model.output])
    with tf.GradientTape() as tape:
        activations, predictions = rebuilt(inputs)
        index = int(tf.argmax(predictions[0]))
        score = predictions[:, index]
    weights = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2))
    heatmap = np.maximum((activations[0] @ weights[:, None])[..., 0], 0)
    assert heatmap.max() > 0
    ours = seewhy.Explainer(classifier, layer="conv2d_1", score="probability").heatmaps(inputs, "top-1")
    assert ours.indices[0, 0] == index
    np.testing.assert_allclose(ours.values[0, 0], heatmap, atol=1e-5 * heatmap.max())
