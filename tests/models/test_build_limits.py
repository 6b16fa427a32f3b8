"""Small files that describe huge layers are refused before memory is allocated, and real files are not."""

import contextlib
import io
import json
import threading
import zipfile

import h5py
import keras
import numpy as np
import pytest
from tests.models.test_keras_file_attacks import TENSOR, functional, instance, outputs, without_modules, write

import seewhy
from seewhy.errors import ModelError
from seewhy.models import build_limits
from seewhy.models.build_limits import MAX_RATIO, limited
from seewhy.models.config_check import MAX_COUNT, MAX_LAYERS, find_unlisted

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def layer(name, /, **config):
    return instance(f"keras.layers.{name}", **config)


def sequential(*layers, shape):
    first = layer("InputLayer", batch_shape=[None, *shape], dtype="float32", sparse=False, name="input")
    return instance("keras.Sequential", name="model", layers=[first, *layers])


ENLARGE = layer("UpSampling2D", size=[1000, 1000])
NORMALIZE = layer("Normalization", mean=0.0, variance=1.0)

HUGE = {
    "a dense layer": (sequential(layer("Dense", units=10**9), shape=(10**6,)), "4,000,000 GB"),
    "more digits than bytes": (sequential(layer("Dense", units=10**400), shape=(1,)), "more than a billion GB"),
    "an embedding": (sequential(layer("Embedding", input_dim=10**9, output_dim=10**6), shape=(5,)), "4,000,000 GB"),
    "a convolution": (
        sequential(layer("Conv2D", filters=10**6, kernel_size=[1000, 1000]), shape=(2000, 2000, 3)),
        "12,000 GB",
    ),
    "batch normalization": (sequential(layer("BatchNormalization"), shape=(10**11,)), "400 GB"),
    "a slope for each position": (sequential(layer("PReLU"), shape=(10**5, 10**5, 3)), "120 GB"),
    "a recurrent layer": (sequential(layer("LSTM", units=10**6), shape=(10, 3)), "16,000 GB"),
    "in both directions": (
        sequential(layer("Bidirectional", layer=layer("GRU", units=10**6)), shape=(10, 3)),
        "12,000 GB",
    ),
    "attention": (functional(layer("MultiHeadAttention", num_heads=10**6, key_dim=10**6), TENSOR, TENSOR), "12,000 GB"),
    "a rank, after a shape of TensorFlow": (
        sequential(layer("EinsumDense", equation="ab,bc->ac", output_shape=2, lora_rank=10**9), shape=(3,)),
        "12 GB",
    ),
    "at each time": (
        sequential(layer("TimeDistributed", layer=layer("Dense", units=10**10)), shape=(10, 3)),
        "120 GB",
    ),
    "after small layers that repeat": (
        sequential(layer("RepeatVector", n=10**9), layer("Flatten"), layer("Dense", units=3), shape=(10,)),
        "120 GB",
    ),
    "constants of a layer": (sequential(NORMALIZE, shape=(10**11,)), "800 GB"),
    "constants after layers that enlarge": (
        sequential(ENLARGE, ENLARGE, layer("Flatten"), NORMALIZE, shape=(8, 8, 3)),
        "1,536,000 GB",
    ),
    "many layers": (sequential(*[layer("Dense", units=1024)] * 30, shape=(1024,)), "67 MB"),
    "a tiny layer in a wrapper": (
        sequential(layer("SpectralNormalization", layer=layer("Dense", units=10**9)), shape=(10**6,)),
        "4,000,000 GB",
    ),
}


@pytest.mark.parametrize("case", HUGE)
def test_layers_that_are_huge_are_refused(tmp_path, case):
    config, amount = HUGE[case]
    path = write(tmp_path / "huge.keras", config)
    assert path.stat().st_size < 50_000
    with pytest.raises(ModelError) as raised:
        seewhy.load(path)
    assert f"its layers would need {amount} or more for their weights" in str(raised.value)
    assert "contains 0 bytes of weights. If the file is your own" in str(raised.value)


def test_legacy_files_are_limited_too(tmp_path):
    config = without_modules(HUGE["a dense layer"][0])
    with pytest.raises(ModelError, match=r"huge.h5 is refused: its layers would need 4,000,000 GB"):
        seewhy.load(write(tmp_path / "huge.h5", config))


def test_weights_that_are_declared_and_not_stored_do_not_raise_the_limit(tmp_path):
    """A dataset of HDF5 of which nothing is written takes no space in the file."""
    config = without_modules(sequential(layer("Dense", units=10**5), shape=(10**5,)))
    path = write(tmp_path / "huge.h5", config)
    with h5py.File(path, "a") as file:
        for number in range(1000):
            file.create_dataset(f"x{number}", (2**24,), "f4", chunks=(2**20,))
    with pytest.raises(ModelError, match="would need 40 GB or more for their weights, and it contains 0 bytes"):
        seewhy.load(path)


def test_layers_in_layers(tmp_path):
    """Ten thousand of them are too deep for any reader of JSON; a hundred, for the limit on its depth."""
    for depth in (100, 10_000):
        start, end = json.dumps(layer("TimeDistributed", layer="?")).split('"?"')
        config = start * depth + json.dumps(layer("Dense", units=2)) + end * depth
        path = write(tmp_path / "nested.keras", {"?": 1})
        content = path.read_bytes()
        path = rewritten(path, content, config)
        with pytest.raises(seewhy.errors.SeewhyError, match=r"nested more than 200 deep|recursion"):
            seewhy.load(path)


def rewritten(path, content, config):
    """Write a model file whose config is this text."""
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as file:
        for name in old.namelist():
            file.writestr(name, config if name == "config.json" else old.read(name))
    return path


@pytest.mark.parametrize("module", [True, False])
def test_ten_thousand_layers_in_a_row_are_refused(module):
    config = sequential(*[layer("Dense", units=2)] * MAX_LAYERS, shape=(2,))
    with pytest.raises(ModelError, match="it has more than 10,000 layers, which would fill the memory"):
        find_unlisted(config if module else without_modules(config))
    initializers = [{**layer("Dense", units=2, kernel_initializer=instance("keras.initializers.Zeros"))}] * 6000
    find_unlisted(sequential(*initializers, shape=(2,)))


def doubled(model):
    """A model that calls another one twice, one after the other."""
    tensors = [{**TENSOR, "config": {**TENSOR["config"], "keras_history": [name, 0, 0]}} for name in ("input", "layer")]
    config = functional(model, TENSOR)
    config["config"]["layers"][1]["inbound_nodes"] = [{"args": [tensor], "kwargs": {}} for tensor in tensors]
    config["config"]["output_layers"] = [["layer", 1, 0]]
    return config


def test_models_that_call_each_other_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(build_limits, "MAX_TENSORS", 30)
    config = layer("Identity")
    for _ in range(8):
        config = doubled(config)
    with pytest.raises(ModelError, match="its layers call each other more than 30 times"):
        seewhy.load(write(tmp_path / "doubled.keras", config))
    monkeypatch.setattr(build_limits, "MAX_TENSORS", 200)
    assert seewhy.load(write(tmp_path / "doubled.keras", config)).model.input_shape == (None, 2, 2, 3)


@pytest.mark.parametrize(
    "config",
    [
        sequential(layer("TextVectorization", ngrams=10**10), shape=(1,)),
        sequential(layer("IntegerLookup", max_tokens=10**10, output_mode="tf_idf", vocabulary=[1]), shape=(1,)),
        {"metrics": [instance("keras.metrics.AUC", num_thresholds=1e300)]},
        {"metrics": [instance("keras.metrics.MeanIoU", num_classes=10**6)] * 11},
    ],
    ids=range(4),
)
def test_lists_that_would_fill_the_memory_are_refused(config):
    with pytest.raises(ModelError, match=f"it has more than {MAX_COUNT:,} as max_tokens and ngrams and num_classes"):
        find_unlisted(config)


class Careless(keras.layers.Layer):
    """Goes on whatever happens."""

    def build(self, _):
        for _ in range(2):
            with contextlib.suppress(Exception):
                self.kernel = self.add_weight(shape=(10**6, 10**6))

    def call(self, inputs):
        return inputs


def test_a_layer_that_catches_the_error_is_refused_all_the_same(tmp_path):
    path = write(tmp_path / "careless.keras", sequential(layer("Flatten"), shape=(2, 2)))
    config = sequential({**layer("Careless"), "module": "tests", "registered_name": "Careless"}, shape=(2, 2))
    with (
        keras.saving.CustomObjectScope({"Careless": Careless}),
        pytest.raises(ModelError, match="its layers would need 4,000 GB"),
    ):
        seewhy.load(write(path, config))


def test_keras_is_as_it_was_afterwards(tmp_path):
    before = keras.KerasTensor.__init__, keras.Variable.__init__, keras.layers.Normalization.build
    names = dict(vars(keras.Variable))
    seewhy.load(write(tmp_path / "small.keras", sequential(layer("Flatten"), shape=(2, 2))))
    with pytest.raises(ModelError):
        seewhy.load(write(tmp_path / "huge.keras", HUGE["a dense layer"][0]))
    assert before == (keras.KerasTensor.__init__, keras.Variable.__init__, keras.layers.Normalization.build)
    assert dict(vars(keras.Variable)) == names
    assert keras.Variable(np.zeros(2**25, np.float32)).shape == (2**25,)


def test_other_threads_are_not_limited(monkeypatch):
    monkeypatch.setattr(build_limits, "FREE_BYTES", 10)
    created = []
    with limited(keras, 0):
        thread = threading.Thread(target=lambda: created.append(keras.Variable(np.zeros(100, np.float32))))
        thread.start()
        thread.join()
        with pytest.raises(ModelError):
            keras.Variable(np.zeros(100, np.float32))
    assert created[0].shape == (100,)


def test_a_trusted_file_is_not_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(build_limits, "FREE_BYTES", 10)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save(tmp_path / "m.keras")
    monkeypatch.setattr(build_limits, "MAX_RATIO", 0)
    with pytest.raises(ModelError, match=r"contains 60 bytes of weights. .* load it with trust=True \(--trust"):
        seewhy.load(tmp_path / "m.keras")
    loaded = seewhy.load(tmp_path / "m.keras", trust=True).model
    inputs = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(outputs(loaded, inputs), outputs(model, inputs))


def with_optimizer():
    """A model in a model, which is compiled with an optimizer that keeps three copies of its weights."""
    inner = keras.Sequential([keras.Input((64,)), keras.layers.Dense(200), keras.layers.Dense(64)])
    inner.compile(keras.optimizers.Adam(use_ema=True), loss="mse")
    inner.optimizer.build(inner.trainable_variables)
    return keras.Sequential([keras.Input((64,)), inner, keras.layers.Dense(2)])


def in_float16():
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(300, dtype="float16"), keras.layers.Dropout(0.5)])


def adapted():
    normalization = keras.layers.Normalization(mean=np.arange(64.0), variance=np.ones(64))
    return keras.Sequential([keras.Input((64,)), normalization, keras.layers.Dense(300)])


def quantized():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(300), keras.layers.Dense(200)])
    model.quantize("int8")
    return model


def tuned():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(300)])
    model.layers[0].enable_lora(4)
    return model


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("make", [with_optimizer, in_float16, adapted, quantized, tuned])
def test_real_files_stay_far_below_the_limit(tmp_path, monkeypatch, make):
    """Their variables are at most `MAX_RATIO` times the weights in the file, but for a few numbers."""
    monkeypatch.setattr(build_limits, "FREE_BYTES", 10_000)
    model = make()
    model.save(tmp_path / "real.keras")
    inputs = np.random.default_rng(0).uniform(0, 1, (1, 64)).astype(np.float32)
    loaded = seewhy.load(tmp_path / "real.keras").model
    np.testing.assert_allclose(outputs(loaded, inputs), outputs(model, inputs), rtol=1e-2)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_architecture_of_keras_applications_needs_once_its_weights(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(build_limits, "FREE_BYTES", 10_000)
    monkeypatch.setattr(build_limits, "MAX_RATIO", 1)
    assert MAX_RATIO == 4
    model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=5, alpha=0.35)
    if suffix == ".h5":
        with h5py.File(tmp_path / "app.h5", "w") as file:
            keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(model, file, include_optimizer=False)
    else:
        model.save(tmp_path / "app.keras")
    loaded = seewhy.load(tmp_path / f"app{suffix}").model
    assert loaded.count_params() == model.count_params()
