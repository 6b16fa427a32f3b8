"""What is Keras's own about the promises, on every backend; what every framework promises is in test_promises.py."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.sample_models import block, nested, predict, state

import seewhy


def test_losses_are_not_noted():
    image = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, activity_regularizer="l2")(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    inputs = np.ones((1, 4, 4, 1), np.float32)
    model(inputs)
    before = [float(ops.convert_to_numpy(loss)) for loss in model.losses]
    seewhy.Explainer(model).heatmaps(inputs)
    assert [float(ops.convert_to_numpy(loss)) for loss in model.losses] == before != []


@pytest.mark.parametrize("layer", ["auto", "base/first"])
def test_a_model_with_seeds_and_dropout_is_afterwards_what_it_was(layer):
    model = nested(block("base"))
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    model.predict(inputs, verbose=0)
    explainer, before = seewhy.Explainer(model, layer=layer), state(model)
    message_of = predict(model, inputs)
    explainer.heatmaps(inputs, "top-2")
    assert state(model) == before
    np.testing.assert_array_equal(predict(model, inputs), message_of)


def test_two_explainers_of_one_model_trace_at_once():
    model = nested(block("base"))
    before, inputs = state(model), np.ones((1, 8, 8, 3), np.float32)
    with ThreadPoolExecutor(4) as threads:
        layers_ = ["base/first", "base/last", "base/last_relu", "auto"]
        found = list(threads.map(lambda layer: seewhy.Explainer(model, layer=layer).heatmaps(inputs).layer, layers_))
    assert found == ["base/first", "base/last", "base/last_relu", "base/last_relu"]
    assert state(model) == before


class OneBlock(keras.Model):
    """A transformer of one block that reads its class token."""

    def __init__(self):
        super().__init__()
        self.patches = keras.layers.Conv2D(8, 4, 4, name="patches")
        self.norm = keras.layers.LayerNormalization()
        self.attention = keras.layers.MultiHeadAttention(2, 4)
        self.dense = keras.layers.Dense(3)

    def call(self, image):
        tokens = keras.ops.reshape(self.patches(image), (-1, 4, 8))
        tokens = keras.ops.concatenate([keras.ops.zeros_like(tokens[:, :1]), tokens], axis=1)
        return self.dense((tokens + self.attention(self.norm(tokens), tokens))[:, 0])


def test_auto_takes_no_channels_of_attention_heads_for_an_image():
    model, inputs = OneBlock(), np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    model(inputs)
    heatmaps = seewhy.Explainer(model).heatmaps(inputs, [0])
    assert heatmaps.layer == "patches"
    assert heatmaps.values.shape == (2, 1, 2, 2)
