import json
import os

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seewhy
from seewhy import Classifier, ClassNames, Preprocessing
from seewhy.errors import ModelError, OutputError, WeightsError
from seewhy.models import sidecar
from seewhy.models.class_names import imagenet

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


def write_sidecar(tmp_path, **content):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"version": 1, **content}))
    return path


@pytest.mark.parametrize(
    ("field", "value", "shown", "expected"),
    [
        ("version", 2, "2", "1, the version of the format"),
        ("version", None, "null", "1, the version of the format"),
        ("version", True, "true", "1, the version of the format"),
        ("version", "1", '"1"', "1, the version of the format"),
        ("class_names", "cats", '"cats"', "a list of names, or 'imagenet'"),
        ("class_names", [], "[]", "a list of names, or 'imagenet'"),
        ("class_names", ["a", 1], '["a", 1]', "a list of names, or 'imagenet'"),
        ("class_ids", ["x"], '["x"]', "no such field unless class_names is a list"),
        ("class_ids", "x", '"x"', "a list of strings, one for each class"),
        ("class_synonyms", [["x"]], '[["x"]]', "no such field unless class_names is a list"),
        ("class_synonyms", ["x"], '["x"]', "a list of lists of names"),
        ("input_size", 224, "224", "[height, width], in pixels"),
        ("input_size", [8, 8, 8, 8], "[8, 8, 8, 8]", "[height, width], in pixels"),
        ("input_size", [0, 224], "[0, 224]", "[height, width], in pixels"),
        ("input_size", [224.5, 224], "[224.5, 224]", "[height, width], in pixels"),
        ("input_size", [True, 224], "[true, 224]", "[height, width], in pixels"),
        ("input_size", [10**9, 224], "[1000000000, 224]", "[height, width], in pixels"),
        ("input_size", [8192, 8192], "[8192, 8192]", "[height, width], in pixels"),
        ("input_size", [10**400, 1], "[1000000", "[height, width], in pixels"),
        ("class_names", ["\ud800"], r'["\ud800"]', "a list of names, or 'imagenet'"),
        ("layer", "\udfff", r'"\udfff"', "a layer's path or name"),
        ("layer", "", '""', "a layer's path or name"),
        ("layer", 3, "3", "a layer's path or name"),
        ("preprocessing", 3, "3", "the name of a module of keras.applications, or an object"),
        ("preprocessing", "resnet5", '"resnet5"', "a module of keras.applications (convnext, densenet,"),
        ("preprocessing.name", "vgg", '"vgg"', "a module of keras.applications (convnext, densenet,"),
        ("preprocessing.name", 1, "1", "the name of a module of keras.applications"),
        ("preprocessing.crop", 0, "0", "a number above 0 and at most 1, or null"),
        ("preprocessing.crop", 1.5, "1.5", "a number above 0 and at most 1, or null"),
        ("preprocessing.crop", float("nan"), "NaN", "a number above 0 and at most 1, or null"),
        ("preprocessing.resample", "area", '"area"', "one of nearest, bilinear, bicubic, lanczos"),
        ("preprocessing.mean", [1, 2], "[1, 2]", "a number, or a list of three"),
        ("preprocessing.mean", "127", '"127"', "a number, or a list of three"),
        ("preprocessing.mean", float("inf"), "Infinity", "a number, or a list of three"),
        ("preprocessing.mean", 10**400, "1000000", "a number, or a list of three, each from -1,000,000 to 1,000,000"),
        ("preprocessing.mean", [1, 2, 1e308], "[1, 2, 1e+308]", "a number, or a list of three"),
        ("preprocessing.std", 1e-300, "1e-300", "a number above 0, or a list of three, each from 1e-06 to 1,000,000"),
        ("preprocessing.std", 10**400, "1000000", "a number above 0, or a list of three"),
        ("preprocessing.crop", 10**400, "1000000", "a number above 0 and at most 1, or null"),
        ("preprocessing.std", 0, "0", "a number above 0, or a list of three"),
        ("preprocessing.std", [1, 0, 1], "[1, 0, 1]", "a number above 0, or a list of three"),
        ("preprocessing.channels_first", 1, "1", "true or false"),
        ("preprocessing.grey", "yes", '"yes"', "true or false"),
    ],
)
def test_an_invalid_field_is_an_error_with_its_value_and_what_was_expected(tmp_path, field, value, shown, expected):
    outer, _, inner = field.partition(".")
    path = write_sidecar(tmp_path, **{outer: {inner: value} if inner else value})
    with pytest.raises(ModelError) as raised:
        sidecar.read(path)
    start, _, end = str(raised.value).partition("; ")
    is_long = str(10**400) in str(value)
    assert start == f"{path}: the field {field!r} is {shown.ljust(57, '0') + '...' if is_long else shown}"
    assert end.startswith(f"expected {expected}")


def test_similar_names_are_suggested(tmp_path):
    with pytest.raises(ModelError, match=r"has an unknown field 'class_name'. Did you mean 'class_names'"):
        sidecar.read(write_sidecar(tmp_path, class_name=["a"]))
    with pytest.raises(ModelError, match=r"has an unknown field 'preprocessing.croop'. Did you mean 'crop'\?"):
        sidecar.read(write_sidecar(tmp_path, preprocessing={"croop": 1}))
    with pytest.raises(ModelError, match=r"Did you mean .*'resnet50'"):
        sidecar.read(write_sidecar(tmp_path, preprocessing="resnet5"))


def test_the_number_of_ids_must_be_that_of_names(tmp_path):
    with pytest.raises(ModelError, match=r"model.json .*There are 2 class names and 1 ids"):
        sidecar.read(write_sidecar(tmp_path, class_names=["a", "b"], class_ids=["x"]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[1]", r"contains \[1\]; expected an"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"version": ' + 5000 * b"1" + b"}", "is not JSON: Exceeds the limit"),
        (b"[" * 300 + b"]" * 300, "is malicious: its JSON is nested more than 200 deep"),
        (bytes(16 * 2**20 + 1), "is not read: it has 16,777,217 bytes; the limit is 16,777,216"),
    ],
)
def test_a_file_that_is_not_a_sidecar(tmp_path, content, message):
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=f"model.json {message}"):
        sidecar.read(tmp_path / "model.json")


def test_a_sidecar_that_cannot_be_read(tmp_path):
    (tmp_path / "model.json").mkdir()
    with pytest.raises(WeightsError, match=r"Cannot read .*model.json: Is a directory"):
        sidecar.read(tmp_path / "model.json")


@pytest.mark.parametrize("target", ["model.json", "missing.json"])
def test_a_sidecar_that_is_a_link_to_nowhere_is_an_error(tmp_path, model, target):
    model.save(tmp_path / "model.keras")
    (tmp_path / "model.json").symlink_to(target)
    with pytest.raises(WeightsError, match=r"Cannot read .*model.json: (Too many levels|No such file)"):
        seewhy.load(tmp_path / "model.keras")


def test_a_sidecar_that_is_a_fifo_or_a_device_is_not_read(tmp_path, model):
    model.save(tmp_path / "model.keras")
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(
        ModelError, match=r"model.json is not read: it is a FIFO, a device or a socket, not a regular file"
    ):
        seewhy.load(tmp_path / "model.keras")
    (tmp_path / "model.json").unlink()
    (tmp_path / "model.json").symlink_to("/dev/zero")
    with pytest.raises(
        ModelError, match=r"model.json is not read: it is a FIFO, a device or a socket, not a regular file"
    ):
        seewhy.load(tmp_path / "model.keras")


NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 10**9, 1e308, 2**63])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda items: st.lists(items, max_size=4) | st.dictionaries(st.text(max_size=8), items, max_size=4),
    max_leaves=8,
)
PREPROCESSING = st.fixed_dictionaries({}, optional=dict.fromkeys(sidecar.PREPROCESSING_FIELDS, VALUES))
SIDECARS = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        **dict.fromkeys(sidecar.FIELDS.keys() - {"version"}, VALUES),
        "preprocessing": PREPROCESSING | VALUES,
        "input_size": st.lists(NUMBERS | st.integers(1, 9000), min_size=2, max_size=2),
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=SIDECARS)
def test_a_sidecar_is_read_or_is_an_error_of_ours(tmp_path, content):
    path = write_sidecar(tmp_path, **content)
    try:
        found = sidecar.read(path)
        preprocessing = found.preprocessing and found.preprocessing.preprocessing((4, 4))
    except seewhy.errors.SeewhyError as error:
        str(error).encode()  # fails if it contains half a character
        return
    if preprocessing:
        assert np.isfinite(preprocessing([np.full((5, 6, 3), 9, np.uint8)]).values).all()


def test_the_input_size_of_the_model_is_checked_too(tmp_path):
    keras.Sequential([keras.Input((10**6, 10**6, 3)), keras.layers.GlobalMaxPooling2D()]).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"The input size is 1000000 x 1000000 pixels; expected sides from 1 to 8,192"):
        seewhy.load(tmp_path / "m.keras").predict([np.zeros((9, 9, 3), np.uint8)])


def test_a_sidecar_written_by_hand(tmp_path):
    path = write_sidecar(
        tmp_path,
        class_names=["cat", "dog"],
        class_ids=["c", "d"],
        input_size=[160, 120],
        preprocessing={"name": "vgg16", "crop": 0.5, "mean": [1, 2.5, 3], "resample": None},
        layer="a/b",
    )
    found = sidecar.read(path)
    assert (list(found.class_names), found.class_names.ids) == (["cat", "dog"], ("c", "d"))
    assert (found.input_size, found.layer) == ((160, 120), "a/b")
    assert found.preprocessing.preprocessing((160, 120)) == Preprocessing(
        size=(160, 120), crop=0.5, mean=(1, 2.5, 3), finish=keras.applications.vgg16.preprocess_input
    )


def test_everything_is_saved_and_loaded(tmp_path, model):
    names = ClassNames(["cat", "dog"], ids=["c1", "d1"], synonyms=[["cat", "pussy"], ["dog", "hound"]])
    preprocessing = Preprocessing((8, 8), 0.875, "lanczos", (1.5, 2.0, 3.0), (0.1, 0.2, 0.3))
    given = Classifier(model, preprocess=preprocessing, class_names=names, layer="conv")
    found = seewhy.load(given.save(tmp_path / "deep" / "model.keras"))
    assert found.preprocessing == preprocessing
    assert (list(found.class_names), found.class_names.ids) == (["cat", "dog"], ("c1", "d1"))
    assert found.find_class("hound") == found.find_class("d1") == 1
    assert found.layer == "conv"
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["model.json", "model.keras"]


def test_the_model_and_its_sidecar_are_on_the_disk_before_they_replace_files(tmp_path, model, monkeypatch):
    paths, seen = (tmp_path / "m.keras", tmp_path / "m.json"), []
    for path in paths:
        path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: seen.append([path.read_bytes() == b"old" for path in paths]))
    Classifier(model).save(paths[0])
    assert seen == [[True, True], [False, True], [False, True], [False, False]]


def test_the_names_of_imagenet_are_saved_as_one_word(tmp_path, model):
    path = Classifier(model, class_names=imagenet()).save(tmp_path / "m.keras")
    assert json.loads(path.with_suffix(".json").read_text()) == {"version": 1, "class_names": "imagenet"}
    assert seewhy.load(path).class_names is imagenet()


@pytest.mark.parametrize("module", ["vgg16", "mobilenet_v2", "densenet", "efficientnet"])
def test_a_function_of_keras_applications_is_saved_by_its_name(tmp_path, model, module):
    function = getattr(keras.applications, module).preprocess_input
    given = Classifier(model, preprocess=function, input_size=(8, 8))
    found = seewhy.load(given.save(tmp_path / "m.keras"))
    assert json.loads((tmp_path / "m.json").read_text())["preprocessing"] == module
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    np.testing.assert_array_equal(found.preprocess([image]).values, given.preprocess([image]).values)


@pytest.mark.parametrize("as_last_step", [False, True])
def test_any_other_function_is_an_error_and_nothing_is_written(tmp_path, model, as_last_step):
    def halved(values):
        return values / 2

    preprocess = Preprocessing(size=(8, 8), finish=halved) if as_last_step else halved
    with pytest.raises(ModelError, match=r"halved.* is a Python function and cannot be saved"):
        Classifier(model, preprocess=preprocess).save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_must_be_keras(tmp_path, model):
    with pytest.raises(ModelError, match=r"Cannot save a classifier as 'm.h5'; expected a file name that ends"):
        Classifier(model).save(tmp_path / "m.h5")


def test_a_path_that_cannot_be_written(tmp_path, model):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        Classifier(model).save(tmp_path / "file" / "m.keras")


def test_an_old_sidecar_is_replaced(tmp_path, model):
    Classifier(model, class_names=["a", "b"]).save(tmp_path / "m.keras")
    Classifier(model).save(tmp_path / "m.keras")
    assert seewhy.load(tmp_path / "m.keras").class_names is None


def test_grey_preprocessing_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    given = Classifier(model, preprocess=Preprocessing((4, 4), std=255.0, grey=True))
    found = seewhy.load(given.save(tmp_path / "m.keras"))
    assert found.preprocessing == given.preprocessing
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    brightness = image @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(found.preprocess([image]).values[0, ..., 0], brightness, atol=0.6 / 255)


def test_grey_images_need_a_single_mean():
    with pytest.raises(ModelError, match=r"grey images have one channel, and mean is \(1, 2, 3\)"):
        Preprocessing((4, 4), mean=(1, 2, 3), grey=True)
