"""A transfer-learning model that is loaded in another process; folders; and paths that do not exist."""

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelError

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

NAMES = ["cat", "dog", "cow"]


@pytest.fixture(scope="module")
def transfer():
    """A base in a model, after augmentation and rescaling and before a head, with running averages of its own."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    image = keras.Input((24, 24, 3))
    x = layers.Conv2D(6, 3, activation="relu", padding="same", name="early")(image)
    x = layers.MaxPooling2D(name="pool")(layers.BatchNormalization(name="norm")(x))
    base = keras.Model(image, layers.Conv2D(8, 3, activation="relu", name="late")(x), name="base")
    return keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            layers.RandomFlip("horizontal", name="flip"),
            layers.Rescaling(1 / 127.5, offset=-1, name="rescaling"),
            base,
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="transfer",
    )


@pytest.fixture(scope="module")
def saved(transfer, tmp_path_factory):
    preprocessing = seewhy.Preprocessing(size=(24, 24), crop=0.75, resample="bicubic")
    classifier = seewhy.Classifier(transfer, preprocess=preprocessing, class_names=NAMES)
    return classifier, classifier.save(tmp_path_factory.mktemp("saved") / "transfer.keras")


EXPLAIN = """
import sys, numpy as np, seewhy
classifier = seewhy.load(sys.argv[1])
heatmaps = {}
for layer in ("auto", "base/late", "late", "base/early"):
    explanation = seewhy.explain(classifier, sys.argv[2], targets=["dog", "cow"], layer=layer)
    heatmaps[layer.replace("/", ".")] = explanation.heatmaps
    print(layer, explanation.layer, explanation.placement.box, *(target.name for target in explanation.targets))
np.savez(sys.argv[3], **heatmaps)
"""


@pytest.mark.slow(reason="starts TensorFlow in another process; the next test loads the file in this one")
def test_a_transfer_learning_model_is_explained_in_a_new_process(saved, examples, tmp_path):
    classifier, path = saved
    command = [sys.executable, "-c", EXPLAIN, path, examples / "cat.png", tmp_path / "found.npz"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert finished.returncode == 0, finished.stderr
    box = "(37.0, 113.0, 262.0, 338.0)"  # 0.75 of the shorter side of 300 x 451, in whole pixels: 225, from 37 and 113
    assert finished.stdout.splitlines() == [
        f"auto base/late {box} dog cow",
        f"base/late base/late {box} dog cow",
        f"late base/late {box} dog cow",
        f"base/early base/early {box} dog cow",
    ]
    found = np.load(tmp_path / "found.npz")
    for layer in ("base/late", "base/early"):
        here = seewhy.explain(classifier, examples / "cat.png", targets=["dog", "cow"], layer=layer).heatmaps
        assert here.max() > 0
        np.testing.assert_allclose(found[layer.replace("/", ".")], here, atol=1e-6 * here.max())
    np.testing.assert_array_equal(found["auto"], found["base.late"])


def test_saved_loaded_saved_loaded_it_explains_the_same(saved, examples, tmp_path):
    classifier, path = saved
    again = seewhy.load(seewhy.load(path).save(tmp_path / "again.keras"))
    assert (tmp_path / "again.json").read_text() == path.with_suffix(".json").read_text()
    one, other = (seewhy.explain(each, examples / "coffee.png", targets=[0, 1, 2]) for each in (classifier, again))
    assert one.heatmaps.max() > 0
    np.testing.assert_array_equal(one.heatmaps, other.heatmaps)
    assert [each.name for each in other.targets] == NAMES
    assert one.placement == other.placement


def test_the_default_layer_is_what_auto_takes(transfer, examples, tmp_path):
    classifier = seewhy.Classifier(transfer, class_names=NAMES, layer="early")
    loaded = seewhy.load(classifier.save(tmp_path / "t.keras"))
    assert loaded.layer == "early"
    assert seewhy.explain(loaded, examples / "cat.png").layer == "base/early"
    assert seewhy.explain(loaded, examples / "cat.png", layer="late").layer == "base/late"
    with pytest.raises(seewhy.errors.LayerError, match=r"There is no layer 'erly'.*Did you mean"):
        seewhy.Classifier(transfer, layer="erly")


def test_without_a_sidecar_the_model_takes_images_as_they_are(saved, tmp_path):
    _, path = saved
    shutil.copy(path, tmp_path / "bare.keras")
    classifier = seewhy.load(str(tmp_path / "bare.keras"))
    image = np.full((24, 24, 3), 200, np.uint8)
    np.testing.assert_array_equal(classifier.preprocess([image]).values, image[None])
    assert (classifier.input_size, classifier.class_names, classifier.layer) == ((24, 24), None, None)


def test_a_folder_with_one_model(saved, tmp_path):
    _, path = saved
    assert list(seewhy.load(path.parent).class_names) == NAMES
    with pytest.raises(ModelError, match=r"contains 0 models \(none\); expected exactly one"):
        seewhy.load(tmp_path)
    for name in ("a.keras", "b.h5"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"contains 2 models \(a.keras, b.h5\); expected exactly one. Give the path"):
        seewhy.load(tmp_path)


@pytest.mark.parametrize(
    "source", ["none.keras", "none.h5", "runs/none", "./none", "~/none.keras", "none" * 99 + ".keras", "none\0.keras"]
)
def test_a_path_that_does_not_exist(source):
    with pytest.raises(ModelError, match=r"There is no file .*none"):
        seewhy.load(source)


def test_a_home_folder_that_does_not_exist():
    with pytest.raises(ModelError, match=r"There is no file ~nobody-of-this-name/x.keras: the home folder is unknown"):
        seewhy.load("~nobody-of-this-name/x.keras")


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "net.tflite").touch()
    with pytest.raises(ModelError, match=r"net.tflite; expected a model saved by Keras, .keras or .h5"):
        seewhy.load(tmp_path / "net.tflite")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"layer": "lte"}, "There is no layer 'lte'"),
        ({"class_names": ["a"], "preprocessing": {"crop": 0.5}}, None),
    ],
)
def test_a_sidecar_that_does_not_fit_the_model(saved, tmp_path, content, message):
    _, path = saved
    shutil.copy(path, tmp_path / "t.keras")
    (tmp_path / "t.json").write_text(json.dumps({"version": 1, **content}))
    if message is not None:
        with pytest.raises(ModelError, match=rf"t.json does not fit the model in .*t.keras: {message}"):
            seewhy.load(tmp_path / "t.keras")
        return
    with pytest.raises(ModelError, match="1 class names were given, and the model 't' has 3 classes"):
        seewhy.load(tmp_path / "t.keras").predict([np.zeros((9, 9, 3), np.uint8)])


def test_a_model_that_accepts_any_size_needs_an_input_size(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPooling2D()]
    )
    model.save(tmp_path / "any.keras")
    (tmp_path / "any.json").write_text('{"version": 1, "preprocessing": {"mean": 127}}')
    with pytest.raises(ModelError, match=r"any.json does not fit .* input size .* is unknown"):
        seewhy.load(tmp_path / "any.keras")
    (tmp_path / "any.json").write_text('{"version": 1, "preprocessing": {"mean": 127}, "input_size": [10, 20]}')
    inputs = seewhy.load(tmp_path / "any.keras").preprocess([np.full((5, 5, 3), 130, np.uint8)])
    np.testing.assert_array_equal(inputs.values, np.full((1, 10, 20, 3), 3))
