import keras
import numpy as np
import pytest
import tensorflow as tf

import seewhy
from seewhy.frameworks.tensorflow.namespace import TensorflowNamespace

VALUES = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 2), (3, 4, 2)])
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("is_vectorized", [False, True])
def test_values_along_an_axis_and_their_gradient_are_those_of_numpy(is_vectorized, shape, index):
    """Of classes (N, T), and of classes for each class (N, T, K); classes that are named twice count twice."""
    indices = np.random.default_rng(1).integers(0, 5, shape).astype(index)
    indices[0] = 4
    values = VALUES if len(shape) == 2 else np.repeat(VALUES[:, None], 4, axis=1)
    wanted = np.zeros_like(values)
    np.add.at(wanted, (*np.indices(shape)[:-1], indices), 2.0)
    constant = tf.constant(values)

    @tf.function(autograph=False)
    def taken():
        with tf.GradientTape() as tape:
            tape.watch(constant)
            found = TensorflowNamespace(is_vectorized=is_vectorized).take_along_axis(
                constant, tf.constant(indices), axis=-1
            )
        return found, tape.gradient(found, constant, 2 * tf.ones_like(found))

    found, gradient = taken()
    np.testing.assert_array_equal(found, np.take_along_axis(values, indices.astype(int), axis=-1))
    np.testing.assert_array_equal(tf.convert_to_tensor(gradient), wanted)


def test_everything_else_is_keras_s():
    assert TensorflowNamespace().einsum is keras.ops.einsum


def test_a_pooled_head_is_vectorized(caplog):
    """TensorFlow warns where it runs an operation in a loop, once for each target, because it cannot vectorize it."""
    image = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3, name="conv")(image))
    model = keras.Model(image, keras.layers.Dense(5)(pooled))
    seewhy.Explainer(model, "layercam", "conv").heatmaps(np.ones((2, 4, 4, 3), np.float32), [0, 3])
    assert "while_loop" not in caplog.text
