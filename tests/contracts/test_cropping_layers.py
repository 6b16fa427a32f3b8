"""Keras's layers that crop, pad or resize, and those of ordinary models that do so for a convolution."""

import keras
import numpy as np
import pytest
from keras import layers

import seewhy
from seewhy.errors import SeewhyWarning, TokenGridError

SIZE = (32, 48)

BOXES = {
    "CenterCrop": (lambda: layers.CenterCrop(16, 24), (8, 12, 24, 36)),
    "Cropping2D": (lambda: layers.Cropping2D(((0, 4), (10, 0))), (0, 10, 28, 48)),
    "RandomCrop": (lambda: layers.RandomCrop(16, 16), (0, 0, 32, 48)),  # crops in training only
    "Resizing": (lambda: layers.Resizing(20, 20), (0, 0, 32, 48)),
    "Resizing to a crop": (lambda: layers.Resizing(16, 16, crop_to_aspect_ratio=True), (0, 8, 32, 40)),
    "Resizing with padding": (lambda: layers.Resizing(48, 48, pad_to_aspect_ratio=True), (-8, 0, 40, 48)),
    "ZeroPadding2D": (lambda: layers.ZeroPadding2D((8, 12)), (-8, -12, 40, 60)),
}


def box_of(model, layer="features"):
    """Return the box of a layer's heatmaps on the model's input, in pixels; all of it where nothing was measured."""
    explainer = seewhy.Explainer(model, layer=layer)
    heatmaps = explainer.heatmaps(np.random.default_rng(0).uniform(0, 1, (1, *SIZE, 3)), [0])
    return np.multiply(heatmaps.input_box, (*SIZE, *SIZE)), explainer.framework


def features(x, kernel=3, **options):
    maps = layers.Conv2D(2, kernel, name="features", **options)(x)
    return layers.Dense(2)(layers.GlobalAveragePooling2D()(maps))


@pytest.mark.parametrize("name", BOXES)
def test_the_box_of_what_is_left(name):
    layer, expected = BOXES[name]
    image = keras.Input((*SIZE, 3))
    box, _ = box_of(keras.Model(image, features(layers.Rescaling(2.0, -1)(layer()(image)), 1)))
    np.testing.assert_allclose(box, expected, atol=0.5)


def test_the_crop_of_a_model_in_a_model():
    image = keras.Input((*SIZE, 3))
    crop = keras.Sequential([keras.Input((*SIZE, 3)), layers.Rescaling(2.0), layers.CenterCrop(16, 24)])
    box, _ = box_of(keras.Model(image, features(crop(image))))
    np.testing.assert_allclose(box, (8, 12, 24, 36), atol=1e-3)


class Step(layers.Layer):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def call(self, x):
        return self.step(x)


def test_a_crop_in_a_loop_over_the_images():
    image = keras.Input((*SIZE, 3))
    box, _ = box_of(keras.Model(image, features(Step(lambda x: keras.ops.map(lambda one: one[4:, :24], x))(image), 1)))
    np.testing.assert_allclose(box, (4, 0, 32, 24), atol=0.5)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch has no negative steps")
def test_a_mirror_in_a_loop_over_the_images_is_warned_of():
    image = keras.Input((*SIZE, 3))
    mirror = Step(lambda x: keras.ops.map(lambda one: one[::-1], x))
    with pytest.warns(SeewhyWarning, match="mirrors, rotates or warps it"):
        box_of(keras.Model(image, features(mirror(image))))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a function of TensorFlow")
def test_a_crop_in_numpy():
    import tensorflow as tf

    def crop(x):
        return tf.ensure_shape(tf.numpy_function(lambda a: a[:, 8:], [x], tf.float32), (None, 24, 48, 3))

    image = keras.Input((*SIZE, 3))
    box, _ = box_of(keras.Model(image, features(Step(crop)(image), 1)))
    np.testing.assert_allclose(box, (8, 0, 32, 48), atol=0.5)


STEMS = {
    "same": lambda x: features(x, 7, strides=2, padding="same"),
    "valid": lambda x: features(x, 7, strides=2),
    "pad and stride": lambda x: features(layers.ZeroPadding2D(3)(x), 7, strides=2),
    "pad on two sides": lambda x: features(layers.ZeroPadding2D(((0, 1), (0, 1)))(x), 3, strides=2),
    "dilated": lambda x: features(layers.ZeroPadding2D(4)(x), 5, dilation_rate=2),
    "scale, normalize and pad": lambda x: features(
        layers.ZeroPadding2D(1)(layers.Normalization(mean=[0.5] * 3, variance=[2.0] * 3)(layers.Rescaling(2.0)(x))), 3
    ),
    "pool": lambda x: features(layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))),
    "batch normalization": lambda x: features(layers.BatchNormalization()(x)),
}


@pytest.mark.parametrize("name", STEMS)
def test_an_ordinary_stem_is_not_even_measured(name):
    image = keras.Input((*SIZE, 3))
    box, framework = box_of(keras.Model(image, STEMS[name](image)))
    np.testing.assert_array_equal(box, (0, 0, *SIZE))
    assert not framework.moves_image(np.zeros((1, *SIZE, 3), np.float32), framework.find_layer("features"))


def test_a_crop_of_features_is_not_taken_for_one_of_the_image():
    image = keras.Input((*SIZE, 3))
    box, _ = box_of(keras.Model(image, features(layers.Cropping2D(2)(layers.Conv2D(4, 3)(image)))))
    np.testing.assert_array_equal(box, (0, 0, *SIZE))


def test_inputs_that_are_no_images_have_no_box():
    """A vector becomes an image inside the model, and a sequence stays one."""
    vector = keras.Input((96,))
    model = keras.Model(vector, features(layers.Cropping2D(1)(layers.Reshape((4, 8, 3))(vector)), 1))
    assert seewhy.Explainer(model, layer="features").heatmaps(np.ones((2, 96)), [0]).input_box == (0, 0, 1, 1)
    signal = keras.Input((16, 3))
    maps = layers.Conv1D(2, 3, name="features")(layers.Cropping1D(2)(signal))
    model = keras.Model(signal, layers.Dense(2)(layers.GlobalAveragePooling1D()(maps)))
    assert seewhy.Explainer(model, layer="features").heatmaps(np.ones((2, 16, 3)), [0]).input_box == (0, 0, 1, 1)


def test_rows_that_are_convolved_as_a_sequence_are_no_image():
    """TensorFlow convolves a sequence as an image of one row, which is not that of the model's input."""
    image = keras.Input((*SIZE, 3))
    sequence = layers.Reshape((SIZE[0] * SIZE[1], 3))(layers.Rescaling(2.0, name="before")(image))
    maps = layers.Conv1D(2, 3, name="features")(sequence)
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling1D()(maps)))
    np.testing.assert_array_equal(box_of(model, "before")[0], (0, 0, *SIZE))
    with pytest.raises(TokenGridError, match="'features' has 1534 positions along one axis"):
        box_of(model, "features")
