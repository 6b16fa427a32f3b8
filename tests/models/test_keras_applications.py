"""Models of keras.applications by name. The smallest stands for all: they are built in the same way."""

import random

import keras
import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelError, WeightsError
from seewhy.models.application_sizes import ApplicationSize, SizeCache, read_sizes
from seewhy.models.keras_applications import Application, applications, downloaded_names

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture(scope="module")
def mobilenet():
    return seewhy.load("mobilenet", weights=None)


def test_every_builder_has_a_name_and_its_own_preprocessing():
    known = applications()
    builders = [name for name in dir(keras.applications) if name[0].isupper()]
    assert sorted(known) == sorted(name.lower() for name in builders)
    assert len(known) >= 38
    assert known["resnet50v2"].preprocess is keras.applications.resnet_v2.preprocess_input
    assert known["resnet50"].preprocess is keras.applications.resnet.preprocess_input


def test_a_classifier_has_the_size_the_names_and_the_preprocessing(mobilenet, examples):
    assert mobilenet.input_size == (224, 224)
    assert mobilenet.class_names[282] == "tiger cat"
    values = mobilenet.preprocess([np.full((9, 7, 3), 255, np.uint8)]).values
    np.testing.assert_array_equal(values, np.ones((1, 224, 224, 3)))  # 0..255 becomes -1..1
    explanation = seewhy.explain(mobilenet, examples / "cat.png", ["tabby"])
    assert (explanation.layer, explanation.heatmaps.shape) == ("conv_pw_13_relu", (1, 7, 7))


def test_a_model_that_accepts_any_size_has_a_default_input_size(examples):
    classifier = seewhy.load("mobilenetv3small", weights=None)
    assert classifier.model.input_shape == (None, None, None, 3)
    assert classifier.input_size == (224, 224)
    assert read_sizes(applications()["mobilenetv3small"]) == ApplicationSize((224, 224), 2_554_968)
    assert seewhy.explain(classifier, examples / "cat.png").heatmaps.shape == (1, 7, 7)


def test_random_weights_are_reproducible_and_python_s_generator_is_restored(mobilenet):
    random.seed(7)
    expected = random.getrandbits(64)
    random.seed(7)
    again = seewhy.load("MobileNet", weights=None)
    assert random.getrandbits(64) == expected
    for one, other in zip(mobilenet.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.std(again.model.get_weights()[0]) > 0


def test_weights_from_a_file(mobilenet, tmp_path):
    keras.utils.set_random_seed(5)
    changed = keras.applications.MobileNet(weights=None)
    changed.save_weights(tmp_path / "my.weights.h5")
    loaded = seewhy.load("mobilenet", weights=tmp_path / "my.weights.h5")
    np.testing.assert_array_equal(loaded.model.get_weights()[0], changed.get_weights()[0])
    assert not np.array_equal(loaded.model.get_weights()[0], mobilenet.model.get_weights()[0])


def test_weights_of_another_architecture(tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(
        WeightsError, match=r"other\.weights\.h5 does not contain weights for mobilenet.*: .*Expected a file"
    ):
        seewhy.load("mobilenet", weights=tmp_path / "other.weights.h5")


@pytest.mark.parametrize(
    ("source", "weights", "message"),
    [
        ("mobilnet", None, r"Unknown model 'mobilnet'\. Did you mean 'mobilenet'"),
        ("efficientnet-lite", None, "Did you mean 'efficientnet-lite0'"),
        (
            "mobilenet",
            "nowhere.h5",
            r"Unknown weights 'nowhere\.h5'; expected 'imagenet', None .* or the path of a file",
        ),
        ("mobilenet", 3, "Unknown weights 3"),
    ],
)
def test_unknown_models_and_weights(source, weights, message):
    with pytest.raises(ModelError, match=message):
        seewhy.load(source, weights=weights)


def test_weights_are_not_loaded_into_native_models(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"")
    with pytest.raises(ModelError, match="weights from files can only be loaded into Keras models"):
        seewhy.load("efficientnet-lite0-torch", weights=tmp_path / "w.h5")


@pytest.mark.parametrize("end", ["", "."])
def test_a_failed_download_is_an_error_that_names_alternatives(end):
    def builder(**_):
        raise Exception(f"URL fetch failure on https://example.org/w.h5: no route{end}")  # as Keras does

    with pytest.raises(
        WeightsError,
        match=r"weights of x cannot be downloaded: URL fetch .* route\. Keras keeps .*'efficientnet-lite0' is",
    ):
        Application("x", builder, lambda values: values).build(pretrained=True)

    def broken(**_):
        raise ValueError("not a download")

    with pytest.raises(ValueError, match="not a download"):
        Application("x", broken, lambda values: values).build(pretrained=True)


def test_which_weights_are_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert downloaded_names(applications()) == set()
    (tmp_path / "models").mkdir()
    for name in (
        "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "weights_mobilenet_v3_small_224_1.0_float.h5",
        "efficientnetv2-b0.h5",
        "nasnet_large.h5",
        "my_own.h5",
    ):
        (tmp_path / "models" / name).write_bytes(b"")
    assert downloaded_names(applications()) == {"resnet50v2", "mobilenetv3small", "efficientnetv2b0", "nasnetlarge"}


def test_facts_are_read_from_the_model_and_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    facts = read_sizes(applications()["mobilenet"])
    assert facts == ApplicationSize((224, 224), 4_253_864)
    assert SizeCache().read() == {}
    SizeCache().write({"mobilenet": facts})
    assert SizeCache().read() == {"mobilenet": facts}
    SizeCache().path.write_text("[1]")
    assert SizeCache().read() == {}
