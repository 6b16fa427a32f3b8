"""Channels first or last: one model in both layouts has the same maps, whatever Keras is set to, on every backend."""

import weakref

import keras
import numpy as np
import pytest
from keras import layers, ops

import seewhy
from seewhy.frameworks import framework_for

SIZE = (8, 6)  # not square, and no number of channels: an axis taken for another shows
LAYOUTS = ("channels_first", "channels_last")
IMAGES = np.random.default_rng(0).normal(size=(2, *SIZE, 3)).astype(np.float32)


class OnAnyDevice(layers.Conv2D):
    """A convolution that says channels_first, also where TensorFlow has none of those: on a CPU."""

    def call(self, inputs):
        if self.data_format == "channels_last":
            return super().call(inputs)
        x = ops.conv(ops.transpose(inputs, (0, 2, 3, 1)), self.kernel, padding="same", data_format="channels_last")
        return ops.transpose(x + self.bias, (0, 3, 1, 2))


def convolution(data_format, name, filters=4):
    kind = OnAnyDevice if keras.backend.backend() == "tensorflow" else layers.Conv2D
    return kind(filters, 3, padding="same", data_format=data_format, name=name)


class Block(layers.Layer):
    """Adds in its own call, out of which no layer comes."""

    def __init__(self, data_format, **options):
        super().__init__(**options)
        self.conv = convolution(data_format, "conv")

    def call(self, inputs):
        return ops.tanh(inputs + self.conv(inputs))


def shape(data_format, channels=3):
    return (channels, *SIZE) if data_format == "channels_first" else (*SIZE, channels)


def classify(x, data_format):
    return layers.Dense(3)(layers.GlobalAveragePooling2D(data_format=data_format, name="gap")(x))


def model(data_format):
    """Of most of these layers only the convolutions and the normalisation say how they lay out what they give."""
    inner = keras.Input(shape(data_format, 4))
    nested = keras.Model(
        inner, layers.Activation("tanh", name="last")(convolution(data_format, "first")(inner)), name="nested"
    )
    image = keras.Input(shape(data_format))
    axis = 1 if data_format == "channels_first" else -1
    first = layers.ReLU(0, 0.1, name="relu")(
        layers.BatchNormalization(axis=axis, name="norm")(convolution(data_format, "conv")(image))
    )
    x = Block(data_format, name="block")(nested(first))
    x = layers.Dropout(0.5, name="dropout")(layers.Add(name="add")([x, first]))
    x = layers.LeakyReLU(name="leaky")(ops.sigmoid(x))  # an operation, which is no layer, comes between
    return keras.Model(image, classify(x, data_format))


def twins(build):
    """Build a model in both layouts, with the same weights, and inputs to each."""
    first, last = (build(data_format) for data_format in LAYOUTS)
    random = np.random.default_rng(1)
    weights = [random.uniform(0.1, 1, each.shape) * random.choice([-1, 1], each.shape) for each in first.get_weights()]
    for each in (first, last):
        each.set_weights([abs(value) if value.ndim == 1 else value for value in weights])
    return (first, IMAGES.transpose(0, 3, 1, 2)), (last, IMAGES)


@pytest.fixture(params=LAYOUTS)
def setting(request):
    """Keras's own setting, which is for layers that are not told."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(request.param)
    yield
    keras.config.set_image_data_format(before)


MORE_LAYERS = pytest.mark.slow(
    reason="a compilation for each; three other kinds of layers show the same, each in one setting"
)


def both_maps(build, layer):
    heatmaps = [seewhy.Explainer(net, "hirescam", layer).heatmaps(inputs, [0, 1, 2]) for net, inputs in twins(build)]
    assert heatmaps[0].layer == heatmaps[1].layer
    assert heatmaps[1].values.max() > 0
    return heatmaps


@pytest.mark.filterwarnings("ignore:.* bypasses the layer")
@pytest.mark.parametrize(
    ("layer", "setting"),
    [
        ("norm", "channels_first"),
        ("block/conv", "channels_last"),
        *(("auto", setting) for setting in LAYOUTS),  # the one whose layout no layer says
        *(
            pytest.param(layer, setting, marks=MORE_LAYERS)
            for layer in ("norm", "conv", "relu", "nested", "nested/last", "block", "block/conv")
            for setting in LAYOUTS
            if (layer, setting) not in (("norm", "channels_first"), ("block/conv", "channels_last"))
        ),
    ],
    indirect=["setting"],
)
@pytest.mark.usefixtures("setting")
def test_a_model_has_the_maps_of_its_twin_of_the_other_layout(layer):
    first, last = both_maps(model, layer)
    assert first.values.shape == (2, 3, *SIZE)
    np.testing.assert_allclose(first.values, last.values, atol=1e-4 * last.values.max())


@pytest.mark.usefixtures("setting")
def test_the_layers_are_listed_as_those_of_the_twin():
    listed = [
        [(call.kind, call.shape, call.is_candidate, call.is_pass_through) for call in framework_for(net).calls(inputs)]
        for net, inputs in twins(model)
    ]
    assert listed[0] == listed[1]
    assert [shape for _, shape, *_ in listed[0]][:3] == [(*SIZE, 4)] * 3
    assert ("Dropout", (*SIZE, 4), False, True) in listed[0]


@pytest.mark.usefixtures("setting")
def test_a_layer_with_one_position_is_no_layer_with_space_in_either_layout():
    def build(data_format):
        image = keras.Input(shape(data_format))
        x = convolution(data_format, "conv")(image)
        x = layers.GlobalAveragePooling2D(data_format=data_format, keepdims=True)(x)
        x = layers.ReLU(name="one_position")(x)  # (4, 1, 1), and not four positions of one channel
        return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))

    first, last = both_maps(build, "auto")
    assert first.layer == "conv"
    np.testing.assert_allclose(first.values, last.values, atol=1e-4 * last.values.max())


def test_permute_changes_the_layout():
    """Into channels first and out of it again, within one model of channels last."""

    def build(data_format):
        image = x = keras.Input(shape("channels_last"))
        if data_format == "channels_first":
            x = layers.Permute((3, 1, 2), name="into")(x)
        x = layers.ReLU(0, 0.1, name="inside")(convolution(data_format, "conv")(x))
        if data_format == "channels_first":
            x = layers.Permute((2, 3, 1), name="out_of")(x)
        return keras.Model(image, classify(layers.Activation("tanh", name="outside")(x), "channels_last"))

    (first, _), (last, inputs) = twins(build)
    for one, other in (("conv", "conv"), ("inside", "inside"), ("out_of", "inside"), ("outside", "outside")):
        found = seewhy.Explainer(first, "hirescam", one).heatmaps(inputs, [0, 1, 2])
        wanted = seewhy.Explainer(last, "hirescam", other).heatmaps(inputs, [0, 1, 2])
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-4 * wanted.values.max())
    assert [call.shape for call in framework_for(first).calls(inputs) if call.path == "into"] == [(*SIZE, 3)]


def test_the_layout_follows_the_tensors_and_not_the_order_of_the_calls():
    """Two towers side by side, whose layers are called in turns."""
    inputs = [keras.Input(shape(data_format)) for data_format in LAYOUTS]
    towers = [
        convolution(data_format, f"conv_{data_format}")(x) for x, data_format in zip(inputs, LAYOUTS, strict=True)
    ]
    towers = [layers.ReLU(name=f"relu_{data_format}")(x) for x, data_format in zip(towers, LAYOUTS, strict=True)]
    pooled = [
        layers.GlobalAveragePooling2D(data_format=data_format)(x)
        for x, data_format in zip(towers, LAYOUTS, strict=True)
    ]
    joined = keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(pooled)))
    calls = framework_for(joined).calls([IMAGES.transpose(0, 3, 1, 2), IMAGES])
    kinds = [type(convolution("channels_last", "any")).__name__, "ReLU"]
    assert [call.kind for call in calls][:4] == [kinds[0], kinds[0], kinds[1], kinds[1]]
    assert [call.shape for call in calls][:4] == [(*SIZE, 4)] * 4


@pytest.mark.usefixtures("setting")
def test_what_no_layer_says_is_as_keras_is_set():
    image = keras.Input((4, 5, 6))
    x = layers.ReLU(name="relu")(image)
    calls = framework_for(keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))).calls(
        np.ones((1, 4, 5, 6), np.float32)
    )
    is_first = keras.config.image_data_format() == "channels_first"
    assert calls[-3].shape == ((5, 6, 4) if is_first else (4, 5, 6))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch runs layer by layer, and can let go")
def test_outputs_are_not_kept_while_the_calls_are_listened_to():
    alive = []

    class Watched(layers.Layer):
        def call(self, inputs):
            output = inputs + 1
            alive.append((weakref.ref(output), [each() is not None for each, _ in alive]))
            return output

    class Plain(keras.Model):  # a functional model keeps its tensors itself
        def __init__(self):
            super().__init__()
            self.each = [Watched() for _ in range(6)]

        def call(self, inputs):
            for layer in self.each:
                inputs = layer(inputs)
            return inputs

    watched = Plain()
    watched(np.ones((1, 4, 4, 1), np.float32))
    alive.clear()
    framework_for(watched).calls(np.ones((1, 4, 4, 1), np.float32))
    assert len(alive) == 6
    assert max(sum(others) for _, others in alive) <= 2  # what is worked on, and what it is made of


@pytest.mark.usefixtures("setting")
@pytest.mark.parametrize(("axis", "expected"), [(1, (5, 6, 4)), (-1, (4, 5, 6)), (3, (4, 5, 6))])
def test_a_normalisation_says_it_by_its_axis(axis, expected):
    image = keras.Input((4, 5, 6))
    x = layers.ReLU(name="relu")(layers.BatchNormalization(axis=axis)(image))
    calls = framework_for(keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))).calls(
        np.ones((1, 4, 5, 6), np.float32)
    )
    assert [call.shape for call in calls[-4:-2]] == [expected, expected]


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((3, 12, 10), "channels_first", True),
        ((12, 10, 3), "channels_last", False),
        ((3, 12, 3), "channels_first", True),
        ((3, 12, 3), "channels_last", False),
        ((1, 12, 10), "channels_first", True),
        ((12, 10, 1), "channels_last", False),
        ((4, 4, 4), "channels_first", True),
        ((4, 4, 4), "channels_last", False),
        ((20, 2), "channels_last", False),
        ((2, 20), "channels_first", True),
        ((3, 8, 8, 1), "channels_last", False),  # three slices
        ((4, 4, 4, 4), "channels_first", True),
    ],
)
def test_the_first_layer_tells_the_layout_of_an_input_whose_sizes_do_not(shape, layout, expected):
    convolution = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)[len(shape) - 2]
    layers = [convolution(2, 1, data_format=layout), keras.layers.Flatten(), keras.layers.Dense(2)]
    assert framework_for(keras.Sequential([keras.Input(shape), *layers])).channels_first is expected


@pytest.mark.parametrize(("shape", "dims"), [((1, 12, 10), (2, 3, 1)), ((12, 10, 1), (1, 2, 3))])
def test_the_layout_of_an_input_that_is_permuted_first(shape, dims):
    layers = [keras.layers.Permute(dims), keras.layers.Conv2D(2, 1, data_format="channels_last")]
    assert framework_for(keras.Sequential([keras.Input(shape), *layers])).channels_first is (shape[0] == 1)
