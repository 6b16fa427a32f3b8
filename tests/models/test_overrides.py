"""Class names, preprocessing and input size that the caller of `load` gives."""

import os

import keras
import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelError, OptionError
from seewhy.models.class_names_file import read_class_names
from seewhy.models.keras_names import architecture_names, module_names
from seewhy.models.named_preprocessing import find_preprocessing


def small_model(channels=3):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((None, None, channels)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.keras"
    small_model().save(path)
    return path


def values_of(classifier, shape=(40, 20, 3)):
    """Return the input made of one image whose pixels are all (255, 0, 51)."""
    image = np.broadcast_to(np.array([255, 0, 51], np.uint8), shape)
    inputs = classifier.preprocess([np.ascontiguousarray(image)])
    return inputs.values[0, 0, 0], inputs.placements[0].box


def test_a_plain_file_with_everything_that_it_does_not_contain(saved, tmp_path):
    (tmp_path / "names.txt").write_text("Katze\nHund\n")
    options = {"class_names": tmp_path / "names.txt", "preprocessing": "imagenet", "input_size": 14}
    classifier = seewhy.load(saved, **options)
    values, box = values_of(classifier)
    # (p / 255 - mean) / std of ImageNet; a centre crop of 0.875 of the shorter side, 20.
    np.testing.assert_allclose(values, [2.2489, -2.0357, -0.9156], atol=1e-3)
    assert box == (11.0, 1.0, 28.0, 18.0)
    assert (list(classifier.class_names), classifier.input_size) == (["Katze", "Hund"], (14, 14))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0..1", [1, 0, 0.2]),
        ("-1..1", [1, -1, -0.6]),
        ("0..255", [255, 0, 51]),
        ("mobilenet_v2", [1, -1, -0.6]),
        ("vgg16", [51 - 103.939, 0 - 116.779, 255 - 123.68]),  # BGR
    ],
)
def test_preprocessing_by_name(saved, name, expected):
    values, box = values_of(seewhy.load(saved, preprocessing=name, input_size=(8, 6)))
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert box == (0.0, 0.0, 40.0, 20.0)


def test_a_grey_model(tmp_path):
    small_model(channels=1).save(tmp_path / "grey.keras")
    classifier = seewhy.load(tmp_path / "grey.keras", preprocessing="0..1", input_size=8)
    values, _ = values_of(classifier)
    np.testing.assert_allclose(values, [0.32], atol=0.005)  # 0.299 red + 0.114 * 0.2 blue
    with pytest.raises(ModelError, match="grey images have one channel"):
        seewhy.load(tmp_path / "grey.keras", preprocessing="imagenet", input_size=8)


def test_what_is_not_given_is_kept(tmp_path):
    """The sidecar's preprocessing with another input size, then with other names."""
    classifier = seewhy.Classifier(
        small_model(), preprocess=seewhy.Preprocessing(size=(8, 8), std=51.0), class_names=["a", "b"], layer="conv"
    )
    path = classifier.save(tmp_path / "m.keras")
    larger = seewhy.load(path, input_size=16)
    assert (larger.input_size, list(larger.class_names), larger.layer) == ((16, 16), ["a", "b"], "conv")
    assert values_of(larger)[0].tolist() == [5.0, 0.0, 1.0]
    named = seewhy.load(path, class_names=["x", "y"])
    assert (named.input_size, list(named.class_names)) == ((8, 8), ["x", "y"])
    own = seewhy.load(path, preprocessing=lambda values: values / 5)
    assert values_of(own)[0].tolist() == [51.0, 0.0, pytest.approx(10.2)]


def test_names_of_keras_applications_are_read_without_keras():
    from seewhy.models.keras_applications import applications

    assert set(architecture_names()) == set(applications())
    assert {"vgg16", "mobilenet_v2", "resnet50"} <= set(module_names())
    for name in module_names():
        assert find_preprocessing(name).function() is not None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"preprocessing": "imagnet"}, OptionError, "Unknown preprocessing 'imagnet'. Did you mean 'imagenet'"),
        ({"preprocessing": "0-1"}, OptionError, "Expected imagenet, 0..1, -1..1, 0..255, or a module of"),
        ({"input_size": (0, 8)}, OptionError, r"input_size is \(0, 8\); expected a side, or \(height, width\)"),
        ({"input_size": 9000}, OptionError, "input_size is 9000"),
        ({"input_size": True}, OptionError, "input_size is True"),
        ({"class_names": []}, ModelError, r"class_names is \[\]; expected one or more names"),
        ({"class_names": [1, 2]}, ModelError, r"class_names is \[1, 2\]"),
        ({"preprocessing": "0..1"}, ModelError, "The input size of the model .* is unknown"),
    ],
)
def test_wrong_values(saved, options, error, message):
    with pytest.raises(error, match=message):
        seewhy.load(saved, **options)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "cat\ndog\n", ["cat", "dog"]),
        ("a.txt", "\ufeffcat \r\n dog\r\n\r\n", ["cat", "dog"]),
        ("a.json", '["cat", "dog"]', ["cat", "dog"]),
        ("a.json", '{"1": "dog", "0": "cat"}', ["cat", "dog"]),
        ("a.json", '{"dog": 1, "cat": 0}', ["cat", "dog"]),
    ],
)
def test_class_names_in_files(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content.encode())
    assert read_class_names(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "it is empty"),
        ("a.txt", b"cat\n\ndog", "line 2 is empty"),
        ("a.txt", b"\xff\xfe", "does not contain class names"),
        ("a.json", b"{", "does not contain class names"),
        ("a.json", b'{"0": "cat", "2": "dog"}', "expected each index from 0 to 1 once"),
        ("a.json", b'{"cat": 0, "dog": 0}', "expected each index from 0 to 1 once"),
        ("a.json", b"[1, 2]", "expected a list of names"),
        ("a.json", b"[" * 100_000, "does not contain class names"),
    ],
)
def test_files_without_class_names(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_class_names(tmp_path / name)


def test_class_names_in_what_is_not_a_small_regular_file(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ModelError, match=r"pipe.txt is not read: it is a FIFO"):
        read_class_names(tmp_path / "pipe.txt")
    with pytest.raises(ModelError, match=r"There is no file .*none.txt with the class names"):
        read_class_names(tmp_path / "none.txt")
    (tmp_path / "large.txt").write_text("cat\n" * 10)
    monkeypatch.setattr("seewhy.models.class_names_file.MAX_SIZE", 10)
    with pytest.raises(ModelError, match="the limit is 10"):
        read_class_names(tmp_path / "large.txt")
