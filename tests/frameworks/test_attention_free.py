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


def functional(between):
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1)(image)
    return keras.Model(image, layers.Dense(2)(between(x)))


def attend(x):
    x = layers.Reshape((16, 4))(x)
    return layers.MultiHeadAttention(2, 2)(x, x)


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
