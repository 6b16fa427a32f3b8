"""Valid model files, and files that are damaged, malicious or contain code."""

import copy
import io
import json
import os
import struct
import zipfile

import h5py
import keras
import numpy as np
import pytest
from tests.sample_models import PAPER_INPUT

import seewhy
from seewhy.errors import ModelError, SeewhyError, WeightsError
from seewhy.models import file_inspection, keras_file

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
        ({"model.weights.h5": b"no weights"}, "cannot be read; it may be damaged"),
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


def compressed(path, part, chunks):
    """Write a compressed zip with one part replaced by chunks of bytes."""
    with zipfile.ZipFile(path.parent / "good.keras") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in set(old.namelist()) - {part}:
            file.writestr(name, old.read(name))
        with file.open(part, "w", force_zip64=True) as content:
            for chunk in chunks:
                content.write(chunk)
    return path


@pytest.mark.parametrize(
    ("part", "megabytes", "size"),
    [
        ("assets/zeros", 80, "83,886,080"),
        ("assets/zeros", 65, "68,157,440"),
        ("model.weights.h5", 80, "83,886,080"),
        ("config.json", 17, "17,825,792"),
    ],
)
def test_a_zip_file_that_would_fill_the_memory(folder, part, megabytes, size):
    path = compressed(folder / "bomb.keras", part, megabytes * [bytes(2**20)])
    assert_refused(path, ModelError, "is malicious", f"would fill the memory with {size}")


@pytest.mark.parametrize("part", ["model.weights.h5", "config.json", "assets/zeros"])
@pytest.mark.parametrize("trust", [False, True])
def test_the_sizes_in_the_zip_directory_are_not_believed(folder, part, trust):
    """Python inflates all of an entry that is read in one step, and then cuts off what exceeds the declared size."""
    path = compressed(folder / "bomb.keras", part, 40 * [bytes(2**20)])
    content = path.read_bytes()
    declared = (40 * 2**20).to_bytes(4, "little")
    assert declared in content
    path.write_bytes(content.replace(declared, (1000).to_bytes(4, "little")))
    assert_refused(path, ModelError, "is malicious", f"{part}' has more bytes than the 1,000", trust=trust)


def test_entries_that_share_their_data(folder):
    """Each is small, and all of them together fill the disk."""
    path = folder / "bomb.keras"
    with zipfile.ZipFile(folder / "good.keras") as old, zipfile.ZipFile(path, "w") as file:
        for name in old.namelist():
            file.writestr(name, old.read(name))
        file.writestr("assets/0", bytes(2**20))
        for number in range(1, 200):
            entry = copy.copy(file.getinfo("assets/0"))
            entry.filename = entry.orig_filename = f"assets/{number}"
            file.filelist.append(entry)
    assert_refused(path, ModelError, "is malicious", "would fill the memory with 209,")


def test_two_entries_of_one_name(folder):
    with zipfile.ZipFile(folder / "good.keras", "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("config.json", "{}")
    assert_refused(folder / "good.keras", ModelError, "each must have its own")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_keras_does_not_use(folder, method):
    with zipfile.ZipFile(folder / "good.keras", "a", method) as file:
        file.writestr("assets/words", "hello" * 100)
    assert_refused(folder / "good.keras", ModelError, "is compressed in a way that Keras does not use")


@pytest.mark.parametrize(
    ("content", "message", "trust"),
    [
        (b"[" * 300 + b"]" * 300, "its JSON is nested more than 200 deep", False),
        (b"[" * 300 + b"]" * 300, "its JSON is nested more than 200 deep", True),
        (b"[" + b"0," * 1_000_000 + b"0]", "its JSON is of more than 1,000,000 values", True),
        (b"[" + b"[]," * 4_000_000 + b"[]]", "its JSON is of more than 1,000,000 values", False),
    ],
)
def test_a_config_that_would_fill_the_memory(folder, content, message, trust):
    path = rewritten(folder / "good.keras", "bomb.keras", replaced={"config.json": content})
    assert_refused(path, ModelError, "is malicious", message, trust=trust)


def link_outside(file):
    file["outside"] = h5py.ExternalLink("/etc/passwd", "/")


def data_outside(file):
    file.create_dataset("outside", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual_data(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("outside", layout)


def compressed_zeros(file):
    file.create_dataset("zeros", (2**28,), "f4", chunks=(2**20,), compression="gzip")[: 2**20] = 0


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("add", "message"),
    [
        (link_outside, "'outside' is a link to another file or place"),
        (data_outside, "'outside' is in another file"),
        (virtual_data, "'outside' is in another file"),
        (compressed_zeros, "would fill the memory with 1,073,741,824"),
    ],
)
def test_weights_in_other_files_and_weights_that_would_fill_the_memory(folder, legacy, suffix, add, message):
    if suffix == ".h5":
        with h5py.File(legacy, "a") as file:
            add(file)
        assert_refused(legacy, ModelError, "is malicious", message)
        return
    with h5py.File(folder / "weights.h5", "w") as file:
        add(file)
    weights = (folder / "weights.h5").read_bytes()
    path = rewritten(folder / "good.keras", "bad.keras", replaced={"model.weights.h5": weights})
    assert_refused(path, ModelError, "is malicious", message)


def test_weights_files_are_inspected_too(folder, paper_model):
    with h5py.File(folder / "x.weights.h5", "w") as file:
        link_outside(file)
    with pytest.raises(ModelError, match="is malicious: its HDF5 entry 'outside'"):
        keras_file.load_weights(paper_model, folder / "x.weights.h5")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_that_was_zipped_again_is_loaded(folder, paper_model, compression):
    with (
        zipfile.ZipFile(folder / "good.keras") as old,
        zipfile.ZipFile(folder / "again.keras", "w", compression) as file,
    ):
        for name in old.namelist():
            file.writestr(name, old.read(name))
    np.testing.assert_array_equal(seewhy.load(folder / "again.keras").model(PAPER_INPUT), paper_model(PAPER_INPUT))


@pytest.mark.parametrize(
    ("program", "limit", "message"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            60,
            r"is not loaded: the process that inspected it ended with -9 \(no mess",
        ),
        ("raise ValueError('broken')", 60, r"ended with 1 \(ValueError: broken\)"),
        ("while True: pass", 0.5, "inspecting it took longer than 0.5 seconds"),
    ],
)
def test_an_inspection_that_fails_or_does_not_end(folder, monkeypatch, program, limit, message):
    monkeypatch.setattr(file_inspection, "PROGRAM", program)
    monkeypatch.setattr(file_inspection, "MAX_TIME", limit)
    with pytest.raises(ModelError, match=message):
        seewhy.load(folder / "good.keras")


def test_an_inspection_that_needs_too_much_memory(folder, monkeypatch):
    lowered = "import seewhy.models.file_inspector as inspector; inspector.MAX_MEMORY = 2**29\nmain()"
    monkeypatch.setattr(file_inspection, "PROGRAM", file_inspection.PROGRAM.replace("main()", lowered))
    content = b"[" + b"[]," * 5_000_000 + b"[]]"
    path = rewritten(folder / "good.keras", "bomb.keras", replaced={"config.json": content})
    assert_refused(path, ModelError, "cannot be inspected in 512 MB of memory")


def test_a_fifo_and_a_device_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo.keras")
    (tmp_path / "device.h5").symlink_to("/dev/zero")
    for name in ("fifo.keras", "device.h5"):
        assert_refused(
            tmp_path / name, ModelError, "is not read: it is a FIFO, a device or a socket, not a regular file"
        )


def test_a_file_that_is_too_large(tmp_path):
    with (tmp_path / "sparse.keras").open("wb") as file:
        file.truncate(17 * 2**30)
    assert_refused(
        tmp_path / "sparse.keras", ModelError, "is not read: it has 18,253,611,008 bytes; the limit is 17,179,869,184"
    )


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


def test_a_lambda_with_a_harmless_function_of_keras_is_not_code(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Lambda(keras.ops.relu), keras.layers.Flatten()])
    model.save(tmp_path / "named.keras")
    values = np.arange(-6, 6, dtype=np.float32).reshape(1, 2, 2, 3)
    loaded = seewhy.load(tmp_path / "named.keras").model
    np.testing.assert_array_equal(np.asarray(loaded(values))[0], [0] * 6 + [0, 1, 2, 3, 4, 5])


def test_a_lambda_with_any_other_function_of_keras_needs_trust(tmp_path):
    """Keras calls it while it loads the file, with arguments from the file."""
    normalize = keras.layers.Lambda(keras.utils.normalize, output_shape=(2, 2, 3))
    keras.Sequential([keras.Input((2, 2, 3)), normalize, keras.layers.Flatten()]).save(tmp_path / "named.keras")
    assert_refused(tmp_path / "named.keras", ModelError, "'normalize', which is not registered with Keras")


def test_a_legacy_file_with_weights_only(tmp_path, paper_model):
    paper_model.save_weights(tmp_path / "only.weights.h5")
    assert_refused(tmp_path / "only.weights.h5", WeightsError, "does not contain a model, at most its weights")


class Odd(keras.layers.Layer):
    pass


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_class_that_is_not_registered(tmp_path, suffix):
    path = tmp_path / f"odd{suffix}"
    model = keras.Sequential([keras.Input((2, 2, 3)), Odd(), keras.layers.Flatten()])
    keras.saving.register_keras_serializable("mine")(Odd)
    try:
        model.save(path)
    finally:  # as in another process
        keras.saving.get_custom_objects().pop("mine>Odd")
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


def test_a_chunk_that_would_fill_the_memory(tmp_path):
    """A dataset of a few numbers has one chunk of 2 GB, which HDF5 would decompress as a whole."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    path = tmp_path / "chunk.keras"
    model.save(path)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset(
            "layers/dense/vars/0", (2, 2), "f4", maxshape=(None, None), chunks=(2**14, 2**15), compression="gzip"
        )
    with pytest.raises(ModelError, match=r"would fill the memory with a chunk of 2,147,483,648"):
        seewhy.load(rewritten(path, "bomb.keras", replaced={"model.weights.h5": weights.getvalue()}))


def test_texts_that_are_stored_once_and_read_often(tmp_path):
    """Texts of any length are in a heap, and all elements of an attribute can be the same text."""
    length, count = 2**22, 1000
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        names = ["A" * length, *map(str, range(count - 1))]
        file.create_group("model_weights").attrs.create("layer_names", names, dtype=h5py.string_dtype("ascii"))
    content = bytearray(path.read_bytes())
    start = content.find(struct.pack("<I", length), content.find(b"layer_names"))
    content[start : start + 16 * count] = content[start : start + 16] * count
    path.write_bytes(content)
    with pytest.raises(seewhy.errors.SeewhyError, match=r"texts.h5 (is malicious|cannot be read)"):
        seewhy.load(path)


def test_texts_as_weights(tmp_path):
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_dataset("model_weights/dense/kernel", data=["a", "b"], dtype=h5py.string_dtype())
    with pytest.raises(ModelError, match=r"its HDF5 dataset 'kernel' contains texts or references; expected numbers"):
        seewhy.load(path)
