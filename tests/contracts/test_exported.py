"""Models that are exported and run by ONNX Runtime, on every framework: `Explainer(model, backend="onnx")`."""

import sys

import keras
import numpy as np
import pytest
from tests.contracts import in_keras, reference

import seewhy
from seewhy.errors import MissingExtraError, ModelRunError

CONVERTERS = {"tensorflow": "tf2onnx", "jax": "jax2onnx", "torch": "onnx"}
IMAGES = reference.images(3)


@pytest.fixture
def keras_models():
    """`in_keras`, where what exports models of Keras's backend is installed."""
    pytest.importorskip(CONVERTERS[keras.backend.backend()])
    pytest.importorskip("onnxruntime")
    return in_keras


def agree(model, inputs, layer="features", method="gradcam", targets=(2, 0), **options):
    explainers = [
        seewhy.Explainer(model, method, layer, signed=True, backend=backend, **options) for backend in ("onnx", None)
    ]
    found, wanted = (explainer.heatmaps(inputs, list(targets)) for explainer in explainers)
    assert found.layer == wanted.layer
    np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=1e-5 * np.abs(wanted.values).max())
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=1e-5 * np.abs(wanted.scores).max())
    return explainers[0]


def test_the_layer_that_auto_takes_and_the_model_as_it_was(keras_models):
    model = keras_models.nested(2)
    before = keras_models.state(model)
    agree(model, IMAGES, "auto")
    assert keras_models.state(model) == before


def test_each_call_of_a_shared_layer(keras_models):
    inputs = {"one": IMAGES, "two": IMAGES[::-1].copy()}
    agree(keras_models.siamese(), inputs, "features#1")


def test_one_of_several_outputs(keras_models):
    agree(keras_models.several(list), [IMAGES, IMAGES[::-1].copy()], output=0)


@pytest.mark.usefixtures("keras_models")
def test_operators_in_unusual_forms_a_batch_of_one_size_and_weights_that_change():
    image = keras.Input(batch_shape=(2, *reference.SIZE, 3))
    scaled = keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 4.0, 2.0])(image)  # constants, not weights
    maps = keras.layers.ReLU(6)(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(scaled)))
    maps = keras.layers.Conv2D(4, 2, activation="gelu", name="features")(keras.layers.MaxPooling2D(2)(maps))
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(image, dense(keras.layers.GlobalAveragePooling2D()(maps)))
    explainer = agree(model, IMAGES, "auto")
    before = explainer.heatmaps(IMAGES, [1])
    dense.kernel.assign(dense.kernel * 2)
    np.testing.assert_allclose(explainer.heatmaps(IMAGES, [1]).values, 2 * before.values, rtol=1e-4)


class Unknown(keras.layers.Layer):
    def call(self, x):
        return keras.ops.erfinv(keras.ops.tanh(x))


class Conditional(keras.layers.Layer):
    def call(self, x):
        return keras.ops.cond(keras.ops.mean(x) > 0, lambda: x, lambda: -x)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="jax2onnx approximates one, and takes long for the other")
@pytest.mark.usefixtures("keras_models")
@pytest.mark.parametrize("layer", [Unknown, Conditional])
def test_a_model_that_cannot_be_exported(layer):
    model = keras.Sequential(
        [
            keras.Input((*reference.SIZE, 3)),
            keras.layers.Conv2D(2, 3, name="features"),
            layer(),
            keras.layers.Flatten(),
        ]
    )
    with pytest.raises(ModelRunError, match=r"The model cannot be exported to ONNX: .*Leave out backend"):
        seewhy.Explainer(model, layer="features", backend="onnx").heatmaps(IMAGES, [0])


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch's exporter comes with it")
def test_without_what_exports(monkeypatch):
    backend = keras.backend.backend()
    name = CONVERTERS[backend]
    monkeypatch.setitem(sys.modules, name, None)
    explainer = seewhy.Explainer(in_keras.plain(), layer="features", backend="onnx")
    with pytest.raises(MissingExtraError, match=rf"{name} is not installed. .*onnx-{backend}\]"):
        explainer.heatmaps(IMAGES, [0])
