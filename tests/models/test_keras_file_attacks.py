"""Model files of strangers do nothing: no file is written, no connection opened, no setting changed."""

import base64
import contextlib
import copy
import inspect
import io
import json
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras.src import api_export
from keras.src.saving.keras_saveable import KerasSaveable
from tests.models.audit import nothing_happens

import seewhy
from seewhy.errors import ModelError
from seewhy.models.config_check import find_unlisted
from seewhy.models.keras_allowlist import CLASSES, FUNCTIONS

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 2, 2, 3], "dtype": "float32", "keras_history": ["input", 0, 0]},
}


def function(name, module=None, **fields):
    """The config of a function: "keras.ops.relu"."""
    module, name = (module, name) if module else name.rsplit(".", 1)
    return {"module": module, "class_name": "function", "config": name, "registered_name": name, **fields}


def instance(path, /, **config):
    """The config of an object: "keras.layers.Dense"."""
    module, _, name = path.rpartition(".")
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def functional(layer, /, *arguments, **keywords):
    """A model with one layer after the input, which is called with these arguments."""
    shape = {"batch_shape": [None, 2, 2, 3], "dtype": "float32", "sparse": False, "name": "input"}
    first = {**instance("keras.layers.InputLayer", **shape), "name": "input", "inbound_nodes": []}
    last = {**layer, "name": "layer", "inbound_nodes": [{"args": list(arguments), "kwargs": keywords}]}
    last["config"] = {"name": "layer", **last["config"]}
    model = {
        "name": "model",
        "trainable": True,
        "layers": [first, last],
        "input_layers": [["input", 0, 0]],
        "output_layers": [["layer", 0, 0]],
    }
    return instance("keras.src.models.functional.Functional", **model)


def lambda_layer(name, /, **arguments):
    return instance("keras.layers.Lambda", function=function(name), arguments=arguments)


def write(path, config):
    """Write a model file, in the format of its suffix, with a config and the weights of another model."""
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            file.create_group("model_weights").attrs["layer_names"] = []
        return path
    weights = io.BytesIO()
    h5py.File(weights, "w").close()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights.getvalue())
    return path


def on_constants(name, value, /, **arguments):
    """A function that Keras calls while it loads the file: a layer that is called without tensors is run at once."""
    return functional(lambda_layer(name, **arguments), inputs=value)


def on_tensor(name, /, **arguments):
    """A function that is called on a tensor, with constant arguments."""
    return functional(lambda_layer(name, **arguments), TENSOR)


def in_dense(**config):
    return functional(instance("keras.layers.Dense", units=2, **config), TENSOR)


IMAGES = {"class_name": "__numpy__", "config": {"value": np.zeros((1, 2, 2, 3)).tolist(), "dtype": "float32"}}
MASKS = {"class_name": "__numpy__", "config": {"value": np.zeros((1, 2, 2, 1)).tolist(), "dtype": "int32"}}
PICKLE = base64.b64encode(b"cos\nsystem\n(S'touch pwned'\ntR.").decode()
GALLERY = "keras.visualization.plot_image_gallery"

ATTACKS = {
    "writes a file": on_constants(GALLERY, IMAGES, value_range=[0, 1], rows=1, cols=1, path="pwned.png"),
    "writes a file, by arguments": on_tensor(GALLERY, value_range=[0, 1], rows=1, cols=1, path="pwned.png"),
    "loads a SavedModel as a function": on_constants("keras.layers.TFSMLayer", "saved", call_endpoint="serve"),
    "loads a SavedModel as a layer": functional(instance("keras.layers.TFSMLayer", filepath="saved"), TENSOR),
    "downloads weights": on_constants("keras.applications.vgg16.VGG16", True, weights="imagenet"),
    "downloads a file": on_constants("keras.utils.get_file", "pwned", origin="http://127.0.0.1:9/x"),
    "downloads a data set": on_constants("keras.datasets.mnist.load_data", "pwned.npz"),
    "opens a path": on_constants("keras.saving.KerasFileEditor", "good.keras"),
    "writes an image": on_constants("keras.preprocessing.image.save_img", "pwned.png", x=IMAGES),
    "plots a model": on_constants("keras.utils.plot_model", "pwned", to_file="pwned.png"),
    "writes a picture of boxes": on_constants(
        "keras.visualization.plot_segmentation_mask_gallery",
        IMAGES,
        num_classes=2,
        value_range=[0, 1],
        y_true=MASKS,
        rows=1,
        cols=1,
        path="pwned.png",
    ),
    "reads a vocabulary": functional(instance("keras.layers.StringLookup", vocabulary="/etc/passwd"), TENSOR),
    "changes floatx": on_constants("keras.config.set_floatx", "float16"),
    "changes epsilon": on_constants("keras.config.set_epsilon", 0.5),
    "changes the data format": on_constants("keras.config.set_image_data_format", "channels_first"),
    "changes the dtype policy": on_constants("keras.config.set_dtype_policy", "mixed_float16"),
    "changes steps": on_constants("keras.config.set_max_steps_per_epoch", 1),
    "changes limits": on_constants("keras.config.set_max_epochs", 1),
    "allows code": on_constants("keras.config.enable_unsafe_deserialization", None),
    "changes the seed": on_constants("keras.utils.set_random_seed", 1),
    "clears the session": on_constants("keras.utils.clear_session", False),
    "loads another file": on_constants("keras.src.saving.saving_api.load_model", "good.keras"),
    "unpickles a module": functional(instance("keras.layers.TorchModuleWrapper", module=PICKLE), TENSOR),
    "holds a JAX function": functional(instance("keras.layers.JaxLayer", call_fn=function("os.system")), TENSOR),
    "holds a Flax module": functional(instance("keras.layers.FlaxLayer", module=PICKLE), TENSOR),
    "calls Python": on_constants("os.system", "touch pwned"),
    "calls Python's builtins": on_tensor("builtins.exec", code="open('pwned', 'w')"),
    "deserializes what it likes": on_constants("keras.activations.deserialize", function(GALLERY)),
    "deserializes by a name alone": on_constants("builtins.deserialize", function(GALLERY)),
    "passes a function as a constant": on_tensor("keras.ops.relu", x=function(GALLERY)),
    "passes a layer as a constant": functional(
        instance("keras.layers.Identity"), TENSOR, mask=instance("keras.layers.TFSMLayer", filepath="saved")
    ),
    "calls an operation on constants": functional(
        instance("keras.src.ops.numpy.Tile", repeats=[10**9]), {"class_name": "__numpy__", "config": {"value": [1]}}
    ),
    "calls a layer on an array in which a tensor hides": functional(
        instance("keras.layers.UpSampling2D", size=[3000, 3000]),
        {"class_name": "__numpy__", "config": {**IMAGES["config"], "extra": TENSOR}},
    ),
    "calls a layer on an array beside a tensor in a slice": functional(
        lambda_layer("keras.ops.relu"), IMAGES, mask={"class_name": "__slice__", "config": {"start": TENSOR}}
    ),
    "calls a layer on an array, training it by a tensor": functional(
        lambda_layer("keras.ops.relu"), IMAGES, training=TENSOR
    ),
    "differences a billion times": on_tensor("keras.ops.diff", n=10**9),
    "splits into a million tensors": on_tensor("keras.ops.split", indices_or_sections=10**6, axis=1),
    "makes a window of gigabytes": on_tensor(
        "keras.ops.stft", sequence_length=2 * 10**8, sequence_stride=1, fft_length=2 * 10**8, center=False
    ),
    "maps a function": on_tensor("keras.ops.map", f=function(GALLERY)),
    "defines a gradient": on_tensor("keras.ops.custom_gradient"),
    "names two functions": in_dense(activation=function("keras.activations.relu", registered_name="deserialize")),
    "acts as an activation": in_dense(activation=function(GALLERY)),
    "acts as an initializer": in_dense(kernel_initializer=function(GALLERY)),
    "acts as a regularizer": in_dense(activity_regularizer=instance("keras.utils.FeatureSpace")),
    "imports a module of Keras": in_dense(dtype=instance("keras.src.utils.jax_layer.JaxLayer")),
    "replaces Keras's backend": in_dense(dtype=instance("keras.src.backend.numpy.Variable")),
    "contains a type": in_dense(
        dtype={"class_name": "__typespec__", "spec_name": "X", "module": "os", "config": [], "registered_name": None}
    ),
    "contains data of a module": in_dense(dtype={"module": "keras.src.testing", **TENSOR}),
    "acts in a wrapper": functional(
        instance("keras.layers.TimeDistributed", layer=lambda_layer(GALLERY, path="pwned.png")), TENSOR
    ),
    "acts in a nested model": functional(on_constants(GALLERY, IMAGES, path="pwned.png"), TENSOR),
    "acts while a nested model is compiled": functional(
        {**on_tensor("keras.ops.relu"), "compile_config": {"loss": function(GALLERY)}}, TENSOR
    ),
    "acts while it is built": {**in_dense(), "build_config": {"input_shape": function(GALLERY)}},
    "acts in a list of cells": functional(
        instance("keras.layers.RNN", cell=instance("keras.layers.StackedRNNCells", cells=[lambda_layer(GALLERY)])),
        TENSOR,
    ),
    "acts in text": functional(
        instance("keras.layers.TextVectorization", standardize=function("keras.utils.load_img")), TENSOR
    ),
}


def without_modules(config):
    """The same config as legacy files have it."""
    if isinstance(config, list):
        return [without_modules(item) for item in config]
    if not isinstance(config, dict):
        return config
    return {key: without_modules(item) for key, item in config.items() if key not in ("module", "registered_name")}


def legacy(layer, keywords=None):
    config = without_modules(functional(layer))
    config["config"]["layers"][1]["inbound_nodes"] = [[["input", 0, 0, keywords or {}]]]
    return config


LEGACY_ATTACKS = {
    "calls a function of keras.layers": legacy(instance("deserialize", config=function(GALLERY))),
    "holds a function of keras.layers": legacy(instance("Lambda", function="deserialize")),
    "is activated by a function of keras.layers": legacy(instance("Activation", activation="deserialize")),
    "loads a SavedModel": legacy(instance("TFSMLayer", filepath="saved")),
    "names a function with its module": legacy(instance("Activation", activation={"x": function(GALLERY)}))
    | {"extra": function(GALLERY)},
    "contains a type": legacy(instance("Flatten")) | {"class_name": "TypeSpec", "type_spec": "X", "serialized": []},
    "contains tensors": legacy(instance("Flatten"), {"mask": {"class_name": "CompositeTensor", "spec": []}}),
    "passes a function": legacy(instance("Flatten"), {"mask": function(GALLERY)}),
    "has a layer with a module": legacy(instance("Flatten"))
    | {"config": {"name": "m", "layers": [lambda_layer(GALLERY, path="pwned.png")]}, "class_name": "Sequential"},
}


def assert_refused(path, monkeypatch):
    """Check that a file is refused, for what it names, and that it does nothing."""
    monkeypatch.chdir(path.parent)
    with nothing_happens(path.parent), pytest.raises(ModelError) as raised:
        seewhy.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_that_acts_is_refused_and_does_nothing(tmp_path, monkeypatch, attack):
    assert_refused(write(tmp_path / "evil.keras", ATTACKS[attack]), monkeypatch)


@pytest.mark.parametrize("attack", LEGACY_ATTACKS)
def test_a_legacy_file_that_acts_is_refused_and_does_nothing(tmp_path, monkeypatch, attack):
    assert_refused(write(tmp_path / "evil.h5", LEGACY_ATTACKS[attack]), monkeypatch)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_refused_is_named(tmp_path, suffix):
    config = functional(lambda_layer(GALLERY, path="pwned.png"), TENSOR)
    path = write(tmp_path / f"evil{suffix}", config)
    with pytest.raises(ModelError, match=rf"evil.* is refused: it names {GALLERY}, .* trust=True \(--trust"):
        seewhy.load(path)


def test_a_file_that_acts_is_recognized_by_the_audit(tmp_path, monkeypatch):
    """The checks above can fail."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="pwned"), nothing_happens(tmp_path):
        (tmp_path / "pwned").write_text("")
    epsilon = keras.config.epsilon()
    try:
        with pytest.raises(AssertionError, match="epsilon"), nothing_happens(tmp_path):
            keras.config.set_epsilon(0.5)
    finally:
        keras.config.set_epsilon(epsilon)


@pytest.mark.parametrize(
    ("attack", "changed"),
    [
        ("writes a file", "pwned.png"),
        ("changes floatx", "floatx"),
        ("changes epsilon", "epsilon"),
        ("changes the data format", "image_data_format"),
        ("changes limits", "limits"),
    ],
)
def test_keras_itself_does_what_such_a_file_says(tmp_path, monkeypatch, attack, changed):
    """The files above are attacks, and the audit sees what they do."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "evil.keras", ATTACKS[attack])
    config = keras.config
    epsilon, floatx, data_format = config.epsilon(), config.floatx(), config.image_data_format()
    try:
        with (
            pytest.raises(AssertionError, match=changed),
            nothing_happens(tmp_path),
        ):
            load_with_keras(path)
    finally:
        config.set_epsilon(epsilon)
        config.set_floatx(floatx)
        config.set_image_data_format(data_format)
        config.set_max_epochs(None)


def load_with_keras(path):
    with contextlib.suppress(Exception):  # Keras fails when the function has been called
        keras.saving.load_model(path, compile=False)


def public_names():
    """The names of everything in Keras that a config can name: public, under all its aliases, or saveable."""
    names = dict(api_export.REGISTERED_NAMES_TO_OBJS)
    modules, visited = [("keras", keras)], set()
    while modules:
        path, module = modules.pop()
        visited.add(module)
        for name in dir(module):
            value = getattr(module, name)
            if inspect.ismodule(value) and value.__name__.startswith("keras.") and value not in visited:
                if not value.__name__.startswith("keras.src"):
                    modules.append((f"{path}.{name}", value))
            elif callable(value):
                names[f"{path}.{name}"] = value
    # Importing further modules would change Keras: keras.src.backend.numpy replaces the functions of the backend.
    for module in [module for path, module in sys.modules.items() if path.startswith("keras.src.")]:
        names |= {f"{module.__name__}.{name}": value for name, value in vars(module).items() if _is_saveable(value)}
    return names


def _is_saveable(value):
    return inspect.isclass(value) and issubclass(value, KerasSaveable)


@pytest.fixture(scope="module")
def names():
    return {name: value for name, value in public_names().items() if callable(value)}


def test_everything_in_keras_that_is_not_listed_is_refused(names):
    unlisted = 0
    for path in names:
        module, _, name = path.rpartition(".")
        if name not in FUNCTIONS.get(module, ()):
            assert refuses(on_tensor(path)), path
            assert refuses(in_dense(activation=function(path))), path
            unlisted += 1
        if name not in CLASSES.get(module, ()):
            assert refuses(functional(instance(path), TENSOR)), path
            unlisted += 1
        assert refuses(functional(instance("keras.layers.Flatten"), TENSOR, mask=function(path))), path
        assert refuses(functional(instance("keras.layers.Flatten"), TENSOR, mask=instance(path))), path
        assert refuses(on_constants(path, 1)), path
    assert unlisted > 2_000


def refuses(config):
    try:
        return find_unlisted(config) != []
    except ModelError:
        return True


FOREIGN_CODE = {"f", "fn", "func", "function", "functions", "pyfunc", "branches", "body", "call_fn", "module"}
FILES = {"path", "file", "filepath", "filename", "fname", "directory", "url", "to_file", "cache_dir"}


def test_what_is_listed_takes_no_functions_and_no_paths(names):
    """Those with a function check it: find_unlisted sees every function in a config."""
    taking_functions = set()
    for allowlist in (CLASSES, FUNCTIONS):
        for path in (f"{module}.{name}" for module, listed in allowlist.items() for name in listed):
            if path not in names:
                continue  # the name of another version of Keras
            parameters = set(inspect.signature(names[path]).parameters)
            assert not parameters & FILES, path
            if parameters & FOREIGN_CODE:
                taking_functions.add(path)
    assert taking_functions == {"keras.layers.Lambda", "keras.metrics.MeanMetricWrapper"}


def test_most_of_the_list_exists_in_this_keras(names):
    """A mistyped name would refuse real files."""
    listed = {
        f"{module}.{name}" for allowlist in (CLASSES, FUNCTIONS) for module in allowlist for name in allowlist[module]
    }
    missing = {
        path
        for path in listed - set(names)
        if not path.startswith(("keras._legacy", "keras.models", "keras.src.backend"))
    }
    assert len(missing) < 0.1 * len(listed), sorted(missing)


def test_listed_functions_do_nothing_but_compute(tmp_path, monkeypatch):
    """Each is called with arrays and with strings, as a file could do it."""
    monkeypatch.chdir(tmp_path)
    values = keras.ops.convert_to_tensor(np.full((2, 4, 4, 3), 0.5, np.float32))
    called = 0
    with nothing_happens(tmp_path, may_draw_seeds=True):
        for module, listed in FUNCTIONS.items():
            for name in sorted(listed):
                called += sum(
                    succeeds(api_export.get_symbol_from_name(f"{module}.{name}"), arguments)
                    for arguments in ([values], [values, values], [values, "pwned"], [values, 1])
                )
    assert called > 200


def succeeds(function, arguments):
    try:
        function(*arguments)
    except Exception:  # noqa: BLE001 - of most functions, some of these calls are wrong
        return False
    return True


APPLICATIONS = (
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "NASNetMobile",
)


BUILT = pytest.mark.slow(reason="builds a large model; EfficientNetB0 has layers of most kinds")


@pytest.mark.parametrize(
    "name",
    ["EfficientNetB0", *(pytest.param(name, marks=BUILT) for name in APPLICATIONS if name != "EfficientNetB0")],
)
def test_the_configs_of_keras_applications_are_accepted(name):
    if name == "NASNetMobile" and keras.config.backend() == "torch":
        pytest.skip("Keras does not build it on PyTorch")
    model = getattr(keras.applications, name)(weights=None)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    assert find_unlisted(config) == []
    assert refuses({**config, "build_config": function(GALLERY)})


@pytest.mark.parametrize(("name", "options"), [("MobileNetV2", {"alpha": 0.35}), ("MobileNetV3Small", {"alpha": 0.75})])
def test_files_of_keras_applications_are_loaded(tmp_path, name, options):
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=5, **options)
    model.save(tmp_path / "app.keras")
    inputs = np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 3)).astype(np.float32)
    loaded = seewhy.load(tmp_path / "app.keras").model
    np.testing.assert_allclose(*(outputs(each, inputs) for each in (model, loaded)), atol=1e-6)


def outputs(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def layers_of_many_kinds():
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(layers.RandomFlip("horizontal")(layers.Resizing(8, 8)(image)))
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    x = layers.Conv2D(
        4,
        3,
        kernel_regularizer=keras.regularizers.L2(0.01),
        kernel_constraint=keras.constraints.MaxNorm(2),
        bias_initializer=keras.initializers.Constant(0.1),
        activation=keras.activations.gelu,
        dtype=keras.DTypePolicy("float32"),
    )(x)
    y = keras.ops.relu(keras.ops.multiply(x, 2.0) + 1)[:, 1:, ..., :2]
    x = layers.Concatenate()([layers.Cropping2D(1)(x), keras.ops.image.resize(y, (4, 4))])
    x = layers.Lambda(keras.ops.relu)(layers.Activation("swish")(x))
    tokens = layers.Reshape((16, 6))(x)
    tokens = layers.MultiHeadAttention(2, 3)(tokens, tokens)
    tokens = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(tokens)
    tokens = layers.TimeDistributed(layers.Dense(3, activation=keras.activations.tanh))(tokens)
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling1D()(tokens)), name="many")


def test_layers_functions_and_operations_of_many_kinds_are_loaded(tmp_path):
    base = layers_of_many_kinds()
    base.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 10)), loss="mse", metrics=["mae"])
    base.optimizer.build(base.trainable_variables)
    model = keras.Sequential([keras.Input((8, 8, 3)), base, keras.layers.Softmax()])
    model.save(tmp_path / "many.keras")
    inputs = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    loaded = seewhy.load(tmp_path / "many.keras").model
    np.testing.assert_allclose(*(outputs(each, inputs) for each in (model, loaded)), atol=1e-6)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="PyTorch is imported already")
def test_optimizers_of_another_backend_are_refused(tmp_path, monkeypatch):
    """Keras would import that backend."""
    adam = instance("keras.src.backend.torch.optimizers.torch_adam.Adam")
    model = functional({**on_tensor("keras.ops.relu"), "compile_config": {"optimizer": adam}}, TENSOR)
    assert_refused(write(tmp_path / "evil.keras", model), monkeypatch)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_quantized_model_is_loaded(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model.quantize("int8")
    model.save(tmp_path / "quantized.keras")
    assert seewhy.load(tmp_path / "quantized.keras").model.layers[1].kernel.dtype == "int8"


def test_the_compile_config_of_the_model_is_not_read(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten()])
    model.compile(loss=own_loss)
    model.save(tmp_path / "compiled.keras")
    assert not seewhy.load(tmp_path / "compiled.keras").model.compiled


def own_loss(expected, actual):
    return keras.ops.mean(expected - actual)


@pytest.mark.parametrize("by_scope", [False, True])
def test_classes_that_the_user_registered_are_loaded(tmp_path, by_scope):
    class Halve(keras.layers.Layer):
        def call(self, inputs):
            return inputs / 2

    if not by_scope:
        keras.saving.register_keras_serializable("tests")(Halve)
    keras.Sequential([keras.Input((2, 2, 3)), Halve(), keras.layers.Flatten()]).save(tmp_path / "own.keras")
    try:
        with keras.saving.CustomObjectScope({"Halve": Halve} if by_scope else {}):
            assert type(seewhy.load(tmp_path / "own.keras").model.layers[0]) is Halve
    finally:
        keras.saving.get_custom_objects().pop("tests>Halve", None)
    with pytest.raises(ModelError, match="Halve', which is not registered with Keras"):
        seewhy.load(tmp_path / "own.keras")


def test_a_registered_name_does_not_hide_a_class_of_keras(tmp_path, monkeypatch):
    """Keras ignores a name in a scope if the config says that there is none, and creates its own class."""
    config = functional(instance("keras.layers.TFSMLayer", filepath="saved"), TENSOR)
    path = write(tmp_path / "evil.keras", copy.deepcopy(config))
    with keras.saving.CustomObjectScope({"TFSMLayer": keras.layers.Identity}):
        assert_refused(path, monkeypatch)
