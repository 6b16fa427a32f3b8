"""Files and models of the real Keras 2, which is tf_keras today: what is mended predicts what Keras 2 predicts."""

import numpy as np
import pytest
import tf_keras as keras2

import seewhy
from seewhy.errors import ModelError, WeightsError

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")

layers = keras2.layers


def ended(image, x):
    return keras2.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def in_model(*middle, shape=(8, 8, 3)):
    x = image = keras2.Input(shape)
    for layer in middle:
        x = layer(x)
    return ended(image, x)


def residual():
    image = keras2.Input((8, 8, 3))
    return ended(image, layers.Add()([image, layers.Conv2D(3, 1)(image)]))


MODELS = {
    "depthwise": lambda: in_model(layers.DepthwiseConv2D(3)),
    "separable": lambda: in_model(layers.SeparableConv2D(2, 3)),
    "transposed": lambda: in_model(layers.Conv2DTranspose(2, 3)),
    "recurrent": lambda: in_model(layers.Bidirectional(layers.LSTM(2)), shape=(4, 3)),
    "augmented": lambda: in_model(keras2.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])),
    "nested": lambda: in_model(keras2.Sequential([layers.Conv2D(2, 3), layers.BatchNormalization()])),
    "dropout": lambda: in_model(layers.SpatialDropout2D(0.5)),
    "slash": lambda: in_model(layers.Conv2D(2, 3, name="Conv/first")),
    "residual": residual,
    "mobilenet": lambda: keras2.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=3),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_legacy_file_of_keras_2_predicts_what_keras_2_does(name, tmp_path):
    model = MODELS[name]()
    model.save(tmp_path / "model.h5")
    inputs = np.random.default_rng(0).random((2, *model.input_shape[1:])).astype(np.float32)
    loaded = seewhy.load(tmp_path / "model.h5").model
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-5)


def test_a_keras_file_and_a_model_of_keras_2_are_named_with_advice_that_works(tmp_path):
    model = in_model(layers.Conv2D(2, 3))
    model.save(tmp_path / "model.keras")
    with pytest.raises(WeightsError, match=r"Keras 3 cannot read .keras files of Keras 2.*model.save\('model.h5'\)"):
        seewhy.load(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"as HDF5, model.save\('model.h5'\)"):
        seewhy.Explainer(model)
