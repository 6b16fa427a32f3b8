"""The backward pass through large dense layers: apart from the rest of the head, and with the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seewhy
from seewhy.frameworks.tensorflow import backward, dense_products, framework
from seewhy.targets import Class, Objective

IMAGES = np.random.default_rng(0).standard_normal((3, 6, 6, 3)).astype(np.float32)


class Hyper(keras.layers.Layer):
    """Multiplies with a matrix that is computed from its input."""

    def call(self, values):
        return tf.matmul(values, tf.tanh(tf.matmul(values, values, transpose_a=True)))


def head(values, kind):
    """Return what follows the convolution."""
    dense = keras.layers.Dense
    flat = keras.layers.Flatten()(values)
    if kind == "bypassed":
        one, other = dense(16, name="one")(flat), dense(16, name="other")(flat)
        return dense(8, name="last")(keras.layers.Multiply()([one, other]))
    if kind == "skip":
        deep = dense(flat.shape[-1], activation="tanh", name="one")(flat)
        return dense(8, name="last")(keras.layers.Add()([deep, flat]))
    if kind == "hyper":
        return dense(8, name="last")(Hyper()(dense(6, name="one")(flat)))
    if kind == "adjacent":
        return dense(8, name="last")(dense(16, name="one")(flat))
    return dense(8, name="last")(dense(16, activation="relu", name="one")(flat))


def network(kind):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    values = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.Softmax()(head(values, kind)))


DIVIDED = {"plain": 2, "adjacent": 2, "bypassed": 1, "skip": 1, "hyper": 2}
"""How many products all gradients flow through."""


@pytest.fixture
def found(monkeypatch):
    """The number of products by which each pass was divided."""
    numbers = []

    def find(*args):
        products = dense_products.find_dense_products(*args)
        numbers.append([int(each.kernel.shape[0]) for each in products])
        return products

    monkeypatch.setattr(framework, "find_dense_products", find)
    monkeypatch.setattr(dense_products, "MIN_SIZE", 1)
    return numbers


@pytest.mark.parametrize(
    ("kind", "memory"), [*((kind, 2**28) for kind in DIVIDED), ("plain", 1)], ids=[*DIVIDED, "plain, in chunks"]
)
def test_gradients_are_those_of_one_pass(monkeypatch, found, kind, memory):
    monkeypatch.setattr(backward, "VECTORIZED_BYTES", memory)
    model = network(kind)
    captures = []
    for least in (1, 2**22):  # divided, and not
        monkeypatch.setattr(dense_products, "MIN_SIZE", least)
        runs = seewhy.Explainer(model, "gradcam").framework
        layer = runs.find_layer("conv")
        captures.append(
            [
                runs.capture(IMAGES[:images], layer, Objective(Class(classes))).gradients.numpy()
                for images in (1, 3)
                for classes in ((2,), (0, 3, 5, 1, 2))
            ]
        )
    for one, other in zip(*captures, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * np.abs(other).max())
        assert np.abs(other).max() > 0
    assert len(found[0]) == DIVIDED[kind]
    assert found[-1] == []


def test_products_are_found_from_the_last_one_on(found):
    runs = seewhy.Explainer(network("plain"), "gradcam").framework
    runs.capture(IMAGES, runs.find_layer("conv"), Objective(Class((0, 1))))
    assert found[0] == [16, 64]


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_a_product_backwards_is_that_with_the_transposed_kernel(rows):
    random = np.random.default_rng(rows)
    kernel, gradients = random.standard_normal((5, 7)), random.standard_normal((rows, 2, 7))
    product = dense_products.DenseProduct(None, tf.constant(kernel), None)
    np.testing.assert_allclose(product.backward(tf.constant(gradients)), gradients @ kernel.T, rtol=1e-12)
