"""Valid model files, and files that are damaged, malicious or contain code."""

import json
import os
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from tests.sample_models import PAPER_INPUT

import seewhy
from seewhy.errors import ModelError, SeewhyError, WeightsError

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture
def folder(tmp_path, paper_model):
    """A folder with a good `good.keras`."""
    paper_model.save(tmp_path / "good.keras")
    return tmp_path


@pytest.fixture
def legacy(tmp_path, paper_model):
    """The same model in a legacy file."""
    with h5py.File(tmp_path / "good.h5", "w") as file:
        keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(paper_model, file, include_optimizer=False)
    return tmp_path / "good.h5"


def rewritten(path, new, **parts):
    """Write a zip with some parts changed, added, or (None) left out, and return its path."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name(new), "w") as file:
        kept = {name: old.read(name) for name in old.namelist()}
        for name, content in {**kept, **parts.pop("replaced", {})}.items():
            if content is not None:
                file.writestr(name, content)
    return path.with_name(new)


def assert_refused(path, error, *messages, trust=False):
    """Check that loading a file raises an error with these messages, and writes nothing."""
    before = {each: each.stat().st_mtime_ns for each in path.parent.rglob("*")}
    with pytest.raises(SeewhyError) as raised:
        seewhy.load(path, trust=trust)
    assert type(raised.value) is error
    for message in (str(path), *messages):
        assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {each: each.stat().st_mtime_ns for each in path.parent.rglob("*")} == before


def lambda_model():
    return keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Lambda(lambda x: 2 * x, name="twice"), keras.layers.Flatten()]
    )


def test_both_formats_give_the_model(folder, legacy, paper_model):
    expected = paper_model(PAPER_INPUT).numpy()
    for path in (folder / "good.keras", legacy):
        classifier = seewhy.load(path)
        np.testing.assert_array_equal(classifier.model(PAPER_INPUT), expected)
        assert classifier.name == "good"
        assert classifier.class_names is None


def test_the_content_of_a_file_must_match_its_suffix(folder, legacy):
    (folder / "old.keras").write_bytes(legacy.read_bytes())
    assert_refused(folder / "old.keras", WeightsError, "legacy format, HDF5. Rename it to old.h5.")
    (folder / "new.h5").write_bytes((folder / "good.keras").read_bytes())
    assert_refused(folder / "new.h5", WeightsError, "rename it to new.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"hello", "is not a model saved by Keras"), (b"\0" * 4096, "is not a model")],
)
def test_files_that_hold_something_else(tmp_path, suffix, content, message):
    (tmp_path / f"x{suffix}").write_bytes(content)
    assert_refused(tmp_path / f"x{suffix}", WeightsError, message)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_files_that_end_too_early(folder, legacy, kept):
    for path in (folder / "good.keras", legacy):
        content = path.read_bytes()
        cut = path.with_stem("cut")
        cut.write_bytes(content[: int(len(content) * kept)])
        assert_refused(cut, WeightsError)


def test_a_file_with_a_changed_byte(folder):
    content = bytearray((folder / "good.keras").read_bytes())
    content[content.index(b'"Sequential"') + 3] ^= 1
    (folder / "changed.keras").write_bytes(content)
    assert_refused(folder / "changed.keras", WeightsError, "Bad CRC-32 for file 'config.json'")


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"config.json": None}, "is a zip file without config.json"),
        ({"model.weights.h5": None}, "is a zip file without config.json and model.weights.h5"),
        ({"config.json": b"{"}, "The config of the model"),
        ({"config.json": b"\xff\xfe\xfa"}, "The config of the model"),
        ({"config.json": b"[1, 2]"}, "Keras cannot load"),
        ({"config.json": b'{"class_name": "Sequential"}'}, "Keras cannot load"),
        ({"config.json": b"[" * 100_000}, "recursion"),
        ({"model.weights.h5": b"no weights"}, "Keras cannot load"),
    ],
)
def test_zip_files_that_are_not_models(folder, replaced, message):
    assert_refused(rewritten(folder / "good.keras", "bad.keras", replaced=replaced), WeightsError, message)


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "assets/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_a_zip_file_that_would_write_outside_its_folder(folder, name):
    path = rewritten(folder / "good.keras", "evil.keras", replaced={name: b"evil"})
    assert_refused(path, ModelError, "is malicious", "evil.txt' would be written outside its folder")
    assert_refused(path, ModelError, "would be written outside its folder", trust=True)
    assert not list(folder.parent.glob("**/evil.txt"))


@pytest.mark.parametrize(
    ("part", "megabytes", "size"),
    [
        ("assets/zeros", 300, "314,572,800"),
        ("config.json", 65, "68,157,440"),
    ],
)
def test_a_zip_file_that_would_fill_the_memory(folder, part, megabytes, size):
    path = folder / "bomb.keras"
    with zipfile.ZipFile(folder / "good.keras") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in set(old.namelist()) - {part}:
            file.writestr(name, old.read(name))
        with file.open(part, "w", force_zip64=True) as zeros:
            for _ in range(megabytes):
                zeros.write(bytes(2**20))
    assert_refused(path, ModelError, "is malicious", f"would fill the memory with {size}")


def test_code_in_a_file_runs_only_if_it_is_trusted(tmp_path):
    model = lambda_model()
    model.save(tmp_path / "code.keras")
    assert_refused(
        tmp_path / "code.keras", ModelError, "contains a Lambda layer", "trust=True (--trust on the command line)"
    )
    values = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    trusted = seewhy.load(tmp_path / "code.keras", trust=True).model
    np.testing.assert_array_equal(np.asarray(trusted(values)), 2 * values.reshape(1, 12))


def test_code_in_a_legacy_file_too(tmp_path):
    path = tmp_path / "code.h5"
    with h5py.File(path, "w") as file:
        keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(lambda_model(), file, include_optimizer=False)
    assert_refused(path, ModelError, "contains a Lambda layer")
    assert seewhy.load(path, trust=True).model.layers[0].name == "twice"


def test_code_as_keras_2_wrote_it(legacy):
    """A Lambda whose function is marshalled code in a list."""
    with h5py.File(legacy, "a") as file:
        description = json.loads(file.attrs["model_config"])
        code = {"name": "l", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}
        description["config"]["layers"].insert(1, {"class_name": "Lambda", "config": code})
        file.attrs["model_config"] = json.dumps(description)
    assert_refused(legacy, ModelError, "contains a Lambda layer")


def test_a_lambda_with_a_named_function_of_keras_is_not_code(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Lambda(keras.ops.relu), keras.layers.Flatten()])
    model.save(tmp_path / "named.keras")
    values = np.arange(-6, 6, dtype=np.float32).reshape(1, 2, 2, 3)
    loaded = seewhy.load(tmp_path / "named.keras").model
    np.testing.assert_array_equal(np.asarray(loaded(values))[0], [0] * 6 + [0, 1, 2, 3, 4, 5])


def test_a_legacy_file_with_weights_only(tmp_path, paper_model):
    paper_model.save_weights(tmp_path / "only.weights.h5")
    assert_refused(tmp_path / "only.weights.h5", WeightsError, "does not contain a model, at most its weights")


WRITE_ODD = """
import keras, sys
@keras.saving.register_keras_serializable("mine")
class Odd(keras.layers.Layer): pass
keras.Sequential([keras.Input((2, 2, 3)), Odd(), keras.layers.Flatten()]).save(sys.argv[1])
"""


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_class_that_is_not_registered(tmp_path, suffix):
    path = tmp_path / f"odd{suffix}"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", WRITE_ODD, path], check=True, capture_output=True, env=environment)
    assert_refused(
        path,
        ModelError,
        "Odd', which is not registered with Keras",
        "register_keras_serializable",
        "package.module:callable",
    )


def test_a_model_that_keras_cannot_save(tmp_path):
    class Closed(keras.Model):
        def __init__(self, size):
            super().__init__(name="closed")
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(keras.ops.reshape(x, (1, -1)))

    model = Closed(object())
    model(np.ones((1, 2, 2, 3), np.float32))
    with pytest.raises(ModelError, match="Keras cannot save the model 'closed'"):
        seewhy.Classifier(model).save(tmp_path / "closed.keras")
    assert list(tmp_path.iterdir()) == []


def test_reading_does_not_hold_the_file_open(folder):
    classifier = seewhy.load(folder / "good.keras")
    (folder / "good.keras").write_bytes(b"gone")
    assert classifier.model(PAPER_INPUT).shape == (1, 2)
