"""Which Keras models are known to compute no attention without a run of them."""

import keras
import numpy as np
import pytest
from keras import layers

from seewhy.frameworks.keras.attention_free import is_free_of_attention
from seewhy.frameworks.keras.calls import layers_by_path


class Own(layers.Layer):
    def call(self, x):
        return x


def model(*inner):
    return keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(3, 1), *inner, layers.Dense(2, activation="softmax")]
    )


class OwnOperation(keras.Operation):
    def call(self, x):
        return x * 2

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def attended(x):
    return keras.ops.softmax(x @ keras.ops.transpose(x, (0, 1, 3, 2))) @ x


def functional(between):
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1)(image)
    return keras.Model(image, layers.Dense(2)(between(x)))


def of_tokens(layer, takes_list=True):
    """Return what gives a layer the same tokens twice, or once."""

    def run(x):
        x = layers.Reshape((16, 4))(x)
        return layer([x, x]) if takes_list else layer(x)

    return run


def attend(x):
    x = layers.Reshape((16, 4))(x)
    return layers.MultiHeadAttention(2, 2)(x, x)


def with_own_call(layer):
    """Return a layer, or a model, whose `call` is replaced by a function."""
    vars(layer)["call"] = attended
    return layer


@pytest.mark.parametrize(
    ("keras_model", "is_free"),
    [
        (model(layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D()), True),
        (model(model(layers.Softmax())), True),
        (functional(lambda x: x + layers.Conv2D(4, 3, padding="same")(x)), True),
        (functional(attend), False),
        (functional(lambda x: keras.ops.matmul(x, keras.ops.transpose(x, (0, 1, 3, 2)))), False),
        (model(Own()), False),
        (model(layers.Activation(lambda x: x)), False),
        (model(layers.Lambda(lambda x: x)), False),
        (model(model(Own())), False),
        (model(with_own_call(layers.ReLU())), False),
        (model(with_own_call(model(layers.ReLU()))), False),
        (with_own_call(model(layers.ReLU())), False),
        (model(layers.Dense(3, activation=layers.ReLU())), True),
        (model(layers.Dense(3, activation=layers.Activation(attended))), False),
        (functional(OwnOperation()), False),
        (functional(of_tokens(layers.Attention())), False),
        (functional(of_tokens(layers.Dot(2))), False),
        (functional(of_tokens(layers.SimpleRNN(2), takes_list=False)), False),
        (functional(of_tokens(layers.TimeDistributed(layers.Dense(2)), takes_list=False)), False),
    ],
)
def test_models_of_keras_layers_that_multiply_nothing(keras_model, is_free):
    assert is_free_of_attention(keras_model, layers_by_path(keras_model).values()) == is_free


def test_a_model_with_a_call_of_its_own_may_attend():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 1)

        def call(self, x):
            return self.conv(x)

    subclassed = Subclassed()
    subclassed(np.zeros((1, 4, 4, 3), np.float32))
    assert not is_free_of_attention(subclassed, layers_by_path(subclassed).values())
