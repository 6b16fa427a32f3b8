"""Models that a SavedModel can or cannot hold; what is exported is compared in tests/contracts/test_export.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seewhy
from seewhy.errors import ModelError
from seewhy.frameworks.tensorflow.saved_model import run_saved_model

pytestmark = pytest.mark.slow(reason="writes a SavedModel, which takes TensorFlow seconds")

IMAGES = np.random.default_rng(0).standard_normal((3, 6, 5, 3)).astype(np.float32)
SCALES = np.array([1.0, -2.0, 3.0, 0.5], np.float32)


class Scaled(keras.layers.Layer):
    """Scales channels by a variable that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.scales = tf.Variable(SCALES, trainable=False)

    def call(self, x):
        return x * self.scales


class InNumpy(Scaled):
    """Adds channels that were scaled in NumPy."""

    def call(self, x):
        scaled = tf.numpy_function(lambda array: array * SCALES, [x], tf.float32)
        return x + tf.stop_gradient(tf.ensure_shape(scaled, x.shape))

    def compute_output_shape(self, shape):
        return shape


class Looked(Scaled):
    """Looks something up in a table, which a SavedModel can hold only as a part of a layer."""

    def __init__(self):
        super().__init__()
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1]), tf.constant([2.0, 3.0]))
        tables = [tf.lookup.StaticHashTable(pairs, 0.0)]
        self.look = lambda: tables[0].lookup(tf.constant(1))

    def call(self, x):
        return x * self.look()


def explainer(layer, method="hirescam", explained="features"):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 5, 3))
    maps = layer(keras.layers.Conv2D(4, 3, name="features")(image))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
    source = seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255)
    return seewhy.Explainer(source, method, explained, signed=True)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda: explainer(Scaled()), id="a variable that Keras does not know"),
        pytest.param(lambda: explainer(keras.layers.ReLU(), "guided_backprop", "auto"), id="a gradient rule"),
    ],
)
def test_outputs_are_those_of_the_explainer(source, tmp_path):
    source = source()
    written = seewhy.export(source, tmp_path / "model", to="savedmodel", targets="all")
    wanted = source.heatmaps(IMAGES, [0, 1]).values
    found = run_saved_model(written.path, {"input": IMAGES})["heatmaps"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("layer", "message"),
    [(InNumpy, "calls a function of Python"), (Looked, "TensorFlow cannot save the exported model: .*untracked")],
)
def test_what_only_this_process_has_is_refused(layer, message, tmp_path):
    """The verification in this process would pass."""
    with pytest.raises(ModelError, match=message):
        seewhy.export(explainer(layer()), tmp_path / "model", to="savedmodel", targets=0)
    assert not list(tmp_path.iterdir())
