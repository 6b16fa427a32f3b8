"""RefineCAM: the product of the heatmaps of a layer at each resolution, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.contracts.reference_pixels import enlarged

import seewhy

STAGES = ["features", "joined", "early"]
INPUTS = np.random.default_rng(0).normal(size=(2, 12, 12, 2)).astype(np.float32)


if keras.backend.backend() == "jax":
    pytestmark = pytest.mark.slow  # the search compiles functions for each layer that it tries


def staged():
    """Build 12x12, 6x6 and 3x3 positions; the last layer of 6x6, "inner", is bypassed by a shortcut."""
    image = keras.Input((12, 12, 2))
    early = layers.Conv2D(4, 3, padding="same", activation="relu", name="early")(image)
    middle = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="middle")(early)
    joined = layers.Add(name="joined")([middle, layers.Conv2D(4, 1, activation="relu", name="branch")(middle)])
    inner = layers.Conv2D(4, 1, activation="relu", name="inner")(joined)
    down = layers.Conv2D(5, 3, strides=2, padding="same", name="down")(inner)
    shortcut = layers.Conv2D(5, 1, strides=2, name="shortcut")(joined)
    features = layers.Add(name="features")([down, shortcut])
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(features)))
    random = np.random.default_rng(1)  # positive on average, so that every layer has evidence
    weights = [random.normal(0.3, 1, size=weight.shape) for weight in model.get_weights()]
    model.set_weights([weight / np.sqrt(weight.size / weight.shape[-1]) for weight in weights])
    return model


def test_it_is_the_product_of_the_last_layers_that_carry_the_score():
    model, targets = staged(), [0, 2]
    found, expected = seewhy.Explainer(model, "refinecam").heatmaps(INPUTS, targets), np.ones((2, 2, 12, 12))
    for layer in STAGES:
        heatmaps = enlarged(seewhy.Explainer(model, "gradcam++", layer).heatmaps(INPUTS, targets).values, (12, 12))
        assert (heatmaps.max(axis=(2, 3)) > 0).all()
        expected *= heatmaps / heatmaps.max(axis=(2, 3), keepdims=True)
    assert found.layer == "features, joined, early"
    assert (expected.max(axis=(2, 3)) > 0.1).all()
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
