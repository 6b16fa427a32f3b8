"""Files of Keras 2: what Keras 3 refuses is mended where its meaning is certain, and else named with its cause."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import seewhy
from seewhy.errors import ModelError, SeewhyWarning, WeightsError
from seewhy.models import keras2_config


def in_model(*middle, shape=(8, 8, 3)):
    """Build a functional model with these layers in the middle."""
    x = image = keras.Input(shape, name="image")
    for layer in middle:
        x = layer(x)
    return keras.Model(image, layers.Dense(2, name="end")(layers.Flatten()(x)))


def nested():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.BatchNormalization()], name="inner")
    return in_model(inner)


def as_keras_2(path, model, change):
    """Save a model as Keras 2 saves it, with `change` applied to each layer's entry in the config."""
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in keras2_config._layers(config):
            change(layer)
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.15.0"
    return path


def added(name, **arguments):
    """Return a change that adds arguments to the layers of a class."""

    def change(layer):
        if layer["class_name"] == name:
            layer["config"].update(arguments)

    return change


def renamed(layer):
    """Give the convolution a name with a slash, and name it so in the calls that take its output."""
    if layer["class_name"] == "Conv2D":
        layer["name"] = layer["config"]["name"] = "Conv/first"
    for node in layer.get("inbound_nodes", []):
        for history in (value["config"]["keras_history"] for value in node["args"]):
            history[0] = "Conv/first" if history[0] == "first" else history[0]


KERNEL = {f"kernel_{part}": None for part in ("initializer", "regularizer", "constraint")}

MENDED = {
    "depthwise": (lambda: in_model(layers.DepthwiseConv2D(3)), added("DepthwiseConv2D", groups=1)),
    "separable": (lambda: in_model(layers.SeparableConv2D(2, 3)), added("SeparableConv2D", groups=1, **KERNEL)),
    "transposed": (lambda: in_model(layers.Conv2DTranspose(2, 3)), added("Conv2DTranspose", groups=1)),
    "recurrent": (lambda: in_model(layers.LSTM(2), shape=(4, 3)), added("LSTM", time_major=False)),
    "random": (lambda: in_model(layers.RandomFlip()), added("RandomFlip", rng_type="stateful")),
    "dropout": (lambda: in_model(layers.SpatialDropout2D(0.5)), added("SpatialDropout2D", trainable=True)),
    "slash": (lambda: in_model(layers.Conv2D(2, 3, name="first")), renamed),
}


@pytest.mark.parametrize("case", MENDED)
def test_what_has_one_meaning_is_mended(case, tmp_path):
    build, change = MENDED[case]
    model = build()
    path = as_keras_2(tmp_path / "model.h5", model, change)
    written = path.read_bytes()
    loaded = seewhy.load(path).model
    inputs = np.random.default_rng(0).random((2, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), rtol=1e-5)
    assert path.read_bytes() == written  # a copy is mended


def test_calls_of_a_nested_sequential_are_counted_from_0(tmp_path):
    """Keras 2 writes calls as [name, number of the call, number of the output, arguments]."""

    def as_calls(layer):
        for node in layer.get("inbound_nodes", []):
            histories = [value["config"]["keras_history"] for value in node["args"]]
            node_calls = [[name, call + (name == "inner"), output, {}] for name, call, output in histories]
            layer["inbound_nodes"] = [node_calls]

    model = nested()
    path = as_keras_2(tmp_path / "model.h5", model, as_calls)
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    loaded = seewhy.load(path).model
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "change", "message"),
    [
        (MENDED["depthwise"][0], added("DepthwiseConv2D", groups=3), r"DepthwiseConv2D: \{'groups': 3\}"),
        (MENDED["recurrent"][0], added("LSTM", time_major=True), r"LSTM: \{'time_major': True\}"),
        (MENDED["random"][0], added("RandomFlip", speed=3), r"RandomFlip: \{'speed': 3\}"),
    ],
)
def test_the_cause_is_named_where_nothing_is_mended(build, change, message, tmp_path):
    path = as_keras_2(tmp_path / "model.h5", build(), change)
    with pytest.raises(WeightsError, match=r"Keras cannot load .*model.h5: \w+: Unrecognized keyword.* " + message):
        seewhy.load(path)


def test_files_of_keras_3_are_not_mended(tmp_path):
    path = as_keras_2(tmp_path / "model.h5", MENDED["depthwise"][0](), added("DepthwiseConv2D", groups=1))
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = keras.__version__
    with pytest.raises(WeightsError, match="Unrecognized keyword arguments passed to DepthwiseConv2D"):
        seewhy.load(path)


def test_a_file_that_is_mended_is_inspected_all_the_same(tmp_path):
    def change(layer):
        added("DepthwiseConv2D", groups=1)(layer)
        if layer["class_name"] == "Flatten":
            layer.update(class_name="Lambda", module="keras.layers", config={"function": {"class_name": "__lambda__"}})

    path = as_keras_2(tmp_path / "model.h5", MENDED["depthwise"][0](), change)
    with pytest.raises(ModelError, match="is refused: it contains a Lambda layer"):
        seewhy.load(path)


def test_merging_layers_may_be_named_without_a_module(tmp_path):
    """Their names are those of operations too."""
    image = keras.Input((4, 4, 3))
    flat = layers.Reshape((48,))(layers.Add()([image, layers.Multiply()([image, image])]))
    model = keras.Model(image, layers.Softmax()(layers.Concatenate()([flat, flat])))

    def change(layer):
        layer.pop("module", None)
        layer.pop("registered_name", None)

    path = as_keras_2(tmp_path / "model.h5", model, change)
    assert seewhy.load(path).model.output_shape == (None, 96)


def test_a_layer_that_keras_3_does_not_have(tmp_path):
    def change(layer):
        if layer["class_name"] == "Flatten":
            layer.update(class_name="TFOpLambda", module=None)

    path = as_keras_2(tmp_path / "model.h5", in_model(), change)
    with pytest.raises(ModelError, match=r"TFOpLambda. Build the model with layers of Keras 3.*load_weights\(path\)"):
        seewhy.load(path)


def test_an_activation_that_keras_3_computes_otherwise_is_warned_of(tmp_path):
    model = in_model(layers.Activation("hard_sigmoid"))
    path = as_keras_2(tmp_path / "model.h5", model, lambda _: None)
    with pytest.warns(SeewhyWarning, match=r"saved by Keras 2.15.0, and a layer in it has the activation hard_sigmoid"):
        seewhy.load(path)


def test_a_keras_file_of_keras_2_is_named_as_such(tmp_path):
    path = tmp_path / "model.keras"
    in_model().save(path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["metadata.json"] = json.dumps({"keras_version": "2.15.0"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(WeightsError, match=r"was saved by Keras 2.15.0.* save it as HDF5, model.save\('model.h5'\)"):
        seewhy.load(path)
