"""The tap on Keras networks on TensorFlow: what it captures, which layer it finds, what it leaves behind."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.conftest import (
    PAPER_ACTIVATIONS,
    PAPER_GRADCAM,
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    paper_layers,
    set_paper_weights,
)

import seewhy
from seewhy.errors import InputError, LayerError, ModelError, NetworkError, NoGradientError, OptionError, TargetError
from seewhy.frameworks import detect
from seewhy.targets import Class, Top, resolve

BOTH = Class((0, 1))


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def capture(network, layer="conv", target=BOTH, inputs=PAPER_INPUT, score="logit"):
    framework = detect(network)
    return framework.capture(framework.check_inputs(inputs), framework.find_layer(layer), target, score)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def paper(ending):
    """Build the paper network; `ending` makes the outputs of the logits' layer, which it is given."""
    convolution, flatten, dense = paper_layers()
    image = keras.Input((2, 2, 1))
    network = keras.Model(image, ending(dense(flatten(convolution(image)))))
    set_paper_weights(convolution, dense)
    return network


class EndsInTensorFlow(keras.Model):
    """A subclassed network that calls TensorFlow's own softmax."""

    def __init__(self):
        super().__init__()
        self.convolution, self.flatten, self.dense = paper_layers()

    def call(self, inputs):
        return tf.nn.softmax(self.dense(self.flatten(self.convolution(inputs))))


def subclassed():
    network = EndsInTensorFlow()
    network(PAPER_INPUT)
    set_paper_weights(network.convolution, network.dense)
    return network


def with_argument():
    convolution, flatten, dense = paper_layers("softmax")
    network = keras.Sequential([keras.Input((2, 2, 1)), convolution, flatten, dense])
    set_paper_weights(convolution, dense)
    return network


def nested_head():
    image = keras.Input((2,))
    return keras.Model(image, layers.Softmax()(image))


SOFTMAX_ENDINGS = {
    "argument": with_argument,
    "activation layer": lambda: paper(layers.Activation("softmax")),
    "softmax layer": lambda: paper(layers.Softmax()),
    "keras.ops": lambda: paper(ops.softmax),
    "keras.activations": lambda: paper(keras.activations.softmax),
    "tf.nn in a subclass": subclassed,
    "in a nested model": lambda: paper(nested_head()),
    "then reshaped": lambda: paper(lambda x: layers.Reshape((2,))(layers.Reshape((1, 2))(layers.Softmax()(x)))),
    "then cast": lambda: paper(lambda x: ops.cast(ops.cast(layers.Softmax()(x), "float64"), "float32")),
    "then dropout": lambda: paper(lambda x: layers.Dropout(0.5)(layers.Softmax()(x))),
    "log-softmax": lambda: paper(layers.Activation("log_softmax")),
    "none: plain logits": lambda: paper(lambda x: x),
}


@pytest.mark.parametrize("ending", SOFTMAX_ENDINGS)
def test_the_paper_network_however_it_ends(ending):
    captured = capture(SOFTMAX_ENDINGS[ending](), layer="conv")
    np.testing.assert_array_equal(captured.activations, PAPER_ACTIVATIONS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.probabilities, softmax(PAPER_LOGITS)[None], rtol=1e-5)
    np.testing.assert_array_equal(captured.indices, [[0, 1]])


def test_probabilities_on_request():
    """The softmax's own derivative, by hand: dp_0/dA = p_0 (1 - p_0) (dy_0/dA - dy_1/dA)."""
    captured = capture(with_argument(), score="probability")
    p = softmax(PAPER_LOGITS)
    np.testing.assert_allclose(captured.scores, p[None], rtol=1e-5)
    expected = p[0] * p[1] * (PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1])
    np.testing.assert_allclose(captured.gradients[0, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(captured.gradients[0, 1], -expected, rtol=1e-4)


def test_many_sigmoids_are_many_logits():
    captured = capture(paper(layers.Activation("sigmoid")))
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.probabilities, 1 / (1 + np.exp(-PAPER_LOGITS))[None], rtol=1e-5)


def one_unit(activation):
    image = keras.Input((2, 2, 1))
    convolution, flatten, _ = paper_layers()
    dense = layers.Dense(1, activation=activation)
    network = keras.Model(image, dense(flatten(convolution(image))))
    convolution.set_weights([np.array([1, -1], np.float32).reshape(1, 1, 1, 2), np.array([0, 3], np.float32)])
    dense.set_weights([PAPER_GRADIENTS[0].reshape(8, 1), np.zeros(1, np.float32)])
    return network


def test_a_single_sigmoid_is_two_classes():
    captured = capture(one_unit("sigmoid"))
    np.testing.assert_allclose(captured.scores, [[7, -7]])  # class 0 is the negated logit
    np.testing.assert_allclose(captured.gradients[0, 1], PAPER_GRADIENTS[0], atol=1e-6)
    np.testing.assert_allclose(captured.gradients[0, 0], -PAPER_GRADIENTS[0], atol=1e-6)
    p = 1 / (1 + np.exp(7))
    np.testing.assert_allclose(captured.probabilities, [[1 - p, p]], rtol=1e-5)
    np.testing.assert_array_equal(captured.outputs.shape, (1, 1))


def test_a_single_plain_unit_is_a_regression():
    captured = capture(one_unit(None), target=Class((0,)))
    np.testing.assert_allclose(captured.scores, [[-7]])
    assert captured.probabilities is None
    with pytest.raises(OptionError, match="score='probability' was asked for, and the outputs are not class scores"):
        capture(one_unit(None), target=Class((0,)), score="probability")


def test_a_saturated_softmax_still_has_gradients():
    network = with_argument()
    network.layers[-1].set_weights([1000 * PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])
    captured = capture(network)
    np.testing.assert_allclose(captured.gradients, 1000 * PAPER_GRADIENTS[None], rtol=1e-5)
    assert captured.probabilities[0, 0] == 1


def test_targets_of_every_kind_have_the_same_gradients():
    by_top = capture(with_argument(), target=Top(2))  # the logits are -7 and -10: in order
    by_function = capture(with_argument(), target=resolve(lambda logits: logits, int))
    mixed = capture(with_argument(), target=resolve(["top-1", 1], int))
    for captured in (by_top, by_function, mixed):
        np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_array_equal(by_function.indices, [[-1, -1]])
    difference = capture(with_argument(), target=resolve(lambda logits: logits[:, 0] - logits[:, 1], int))
    np.testing.assert_allclose(difference.gradients[:, 0], (PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1])[None], atol=1e-6)
    assert difference.scores.shape == (1, 1)


# Which layer, in networks of every build


def block(name, pool=False):
    """Return a small convolutional model, as a base for others to nest."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    x = layers.Conv2D(5, 3, padding="same", strides=2, name="last")(x)
    x = layers.ReLU(name="last_relu")(x)
    return keras.Model(image, layers.MaxPooling2D(name="pool")(x) if pool else x, name=name)


def nested(base):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip(name="flip"),
            layers.Rescaling(1 / 255, name="rescale"),
            base,
            layers.Dropout(0.2, name="dropout"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, "softmax", name="head"),
        ],
        name="transfer",
    )


def twice_nested():
    inner = block("inner")
    image = keras.Input((8, 8, 3))
    return nested(keras.Model(image, inner(image), name="outer"))


class Residual(layers.Layer):
    """A block that adds in its own call: the sum is no layer's output but its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = layers.Conv2D(3, 3, padding="same", name="conv")

    def call(self, inputs):
        return ops.relu(inputs + self.conv(inputs))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.blocks = [Residual(name="block_1"), Residual(name="block_2")]
        self.gap = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(3)

    def call(self, inputs):
        for each in self.blocks:
            inputs = each(inputs)
        return self.head(self.gap(inputs))


def built_subclassed():
    network = Subclassed()
    network(np.zeros((1, 8, 8, 3), np.float32))
    return network


def squeeze_and_excite():
    """MobileNetV3's shape: the last convolutions are 1x1 wide, and a branch of 1x1 outputs runs beside the maps."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, name="conv")(image)
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = layers.Conv2D(4, 1, activation="sigmoid", name="excite")(s)
    x = layers.Multiply(name="scale")([x, s])
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Conv2D(6, 1, activation="relu", name="head_conv")(x)
    return keras.Model(image, layers.Dense(3, "softmax")(layers.Flatten()(x)))


AUTO = {
    "vgg's shape: pooled at the end": (lambda: nested(block("base", pool=True)), "base/last_relu", (4, 4, 5)),
    "nested, handed on by dropout": (lambda: nested(block("base")), "base/last_relu", (4, 4, 5)),
    "nested twice": (twice_nested, "outer/inner/last_relu", (4, 4, 5)),
    "subclassed, adding in its own call": (built_subclassed, "block_2", (8, 8, 3)),
    "squeeze and excite": (squeeze_and_excite, "scale", (3, 3, 4)),
}


@pytest.mark.parametrize("case", AUTO)
def test_auto_takes_the_last_layer_with_space(case):
    build, path, shape = AUTO[case]
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    heatmaps = seewhy.Explainer(build()).heatmaps(inputs, "top-1")
    assert heatmaps.layer == path
    assert heatmaps.values.shape == (2, 1, *shape[:-1])
    calls = detect(build()).calls(inputs)
    chosen = [call for call in calls if call.is_candidate][-1]
    assert (chosen.path, chosen.shape) == (path, shape)


def test_the_real_architectures():
    """What DESIGN promises of `auto`, on the networks people have; weights do not matter here."""
    for build, path, shape in (
        (keras.applications.VGG16, "block5_conv3", (14, 14, 512)),
        (keras.applications.ResNet50, "conv5_block3_out", (7, 7, 2048)),
        (keras.applications.Xception, "block14_sepconv2_act", (10, 10, 2048)),
        (keras.applications.MobileNetV3Small, "activation_17", (7, 7, 576)),
    ):
        network = build(weights=None, input_shape=(299, 299, 3) if path.startswith("block14") else (224, 224, 3))
        calls = detect(network).calls(np.zeros((1, *network.input_shape[1:]), np.float32))
        chosen = [call for call in calls if call.is_candidate][-1]
        assert chosen.shape == shape
        assert chosen.path == path or path.startswith("activation")


def test_a_nested_layer_is_the_same_as_in_the_open():
    """A convolution inside a nested base gives what it gives when the same layers stand in one flat model."""
    base = block("base", pool=True)
    whole = nested(base)
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32) * 255
    image = keras.Input((8, 8, 3))
    x = whole.get_layer("rescale")(image)
    for layer in [*base.layers[1:], *whole.layers[-3:]]:
        x = layer(x)
    flat = keras.Model(image, x)
    for layer in ("first", "last", "last_relu"):
        ours = seewhy.Explainer(whole, layer=layer).heatmaps(inputs, [0, 1, 2])
        theirs = seewhy.Explainer(flat, layer=layer).heatmaps(inputs, [0, 1, 2])
        assert (ours.layer, theirs.layer) == (f"base/{layer}", layer)
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-5, atol=1e-9)


def test_a_skip_round_the_layer_goes_on_being_used_but_is_not_differentiated():
    image = keras.Input((4, 4, 1))
    tapped = layers.Conv2D(1, 1, use_bias=False, name="tapped")(image)
    joined = layers.Add()([tapped, image])
    network = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(joined)))
    network.set_weights([np.full((1, 1, 1, 1), 2, np.float32), np.arange(16, dtype=np.float32)[:, None]])
    inputs = np.ones((1, 4, 4, 1), np.float32)
    captured = capture(network, "tapped", Class((0,)), inputs)
    assert captured.scores[0, 0] == 3 * sum(range(16))
    np.testing.assert_allclose(captured.gradients[0, 0, ..., 0], np.arange(16).reshape(4, 4))


def test_of_a_shared_layer_the_last_call_is_explained():
    """y = sum(w * A), A = conv(conv(x)): with a doubling convolution the last call's output is 4 x."""
    image = keras.Input((2, 2, 1))
    shared = layers.Conv2D(1, 1, use_bias=False, name="shared")
    network = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(shared(shared(image)))))
    network.set_weights([np.full((1, 1, 1, 1), 2, np.float32), np.arange(4, dtype=np.float32)[:, None]])
    captured = capture(network, "shared", Class((0,)))
    np.testing.assert_array_equal(captured.activations, 4 * PAPER_INPUT)
    np.testing.assert_array_equal(captured.gradients[0, 0, ..., 0], [[0, 1], [2, 3]])
    last = capture(network, "shared#2", Class((0,)))
    np.testing.assert_array_equal(last.activations, captured.activations)
    first = capture(network, "shared#1", Class((0,)))
    np.testing.assert_array_equal(first.activations, 2 * PAPER_INPUT)
    np.testing.assert_array_equal(first.gradients[0, 0, ..., 0], [[0, 2], [4, 6]])
    with pytest.raises(LayerError, match="There is no call shared#3: the layer 'shared' is called 2 times"):
        capture(network, "shared#3", Class((0,)))


def test_a_frozen_base_is_explained_like_any_other():
    base = block("base")
    network = nested(base)
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32) * 255
    free = seewhy.Explainer(network).heatmaps(inputs, [0, 1, 2]).values
    base.trainable = False
    np.testing.assert_array_equal(seewhy.Explainer(network).heatmaps(inputs, [0, 1, 2]).values, free)
    assert free.max() > 0


def test_mixed_precision_gives_float32_heatmaps_near_the_full_ones():
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)

    def build(dtype):
        keras.utils.set_random_seed(0)
        policy = {"dtype": dtype}
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, activation="relu", name="conv", **policy)(image)
        x = layers.GlobalAveragePooling2D(**policy)(x)
        return keras.Model(image, layers.Activation("softmax", dtype="float32")(layers.Dense(3, **policy)(x)))

    full, mixed = (seewhy.Explainer(build(dtype)).heatmaps(inputs, [0, 1, 2]) for dtype in ("float32", "mixed_float16"))
    assert mixed.values.dtype == np.float32
    np.testing.assert_allclose(mixed.values, full.values, atol=0.01 * full.values.max())


# What the caller may say of the layer


def test_a_layer_by_path_by_name_and_by_itself():
    network = nested(block("base"))
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    said = ["base/last", "last", network.get_layer("base").get_layer("last")]
    found = [seewhy.Explainer(network, layer=layer).heatmaps(inputs) for layer in said]
    assert [each.layer for each in found] == ["base/last"] * 3
    np.testing.assert_array_equal(found[0].values, found[2].values)


def test_a_nested_model_is_a_layer_too():
    network = nested(block("base", pool=True))
    heatmaps = seewhy.Explainer(network, layer="base").heatmaps(np.ones((1, 8, 8, 3), np.float32))
    assert heatmaps.values.shape == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("lastt", r"There is no layer 'lastt' in the network. Did you mean 'last'"),
        ("conv", r"2 layers are called 'conv'; give one of their paths: block_1/conv, block_2/conv\."),
        (layers.Conv2D(1, 1, name="stranger"), "<Conv2D name=stranger, built=False> is not part of the network"),
        ("dense", r"The layer 'dense' cannot be explained: its output \(3,\) is not one tensor with more than one"),
    ],
)
def test_layers_that_cannot_be_meant(layer, message):
    network = built_subclassed() if layer in ("conv", "dense") else nested(block("base"))
    if layer == "dense":
        layer = network.head.name
        message = message.replace("dense", layer)
    with pytest.raises(LayerError, match=message):
        seewhy.Explainer(network, layer=layer).heatmaps(np.ones((1, 8, 8, 3), np.float32))


def test_auto_without_any_layer_with_space():
    network = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="only")])
    with pytest.raises(LayerError, match=r"layer='auto' found no layer to explain.*Outputs: only \(3,\)\."):
        seewhy.Explainer(network).heatmaps(np.ones((1, 4), np.float32))


class Unused(Subclassed):
    def __init__(self):
        super().__init__()
        self.spare = layers.Conv2D(1, 1, name="spare")


@pytest.mark.filterwarnings("ignore:.build..:UserWarning")  # Keras sees that one layer was never built: the point
def test_a_layer_that_is_not_called():
    network = Unused()
    network(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(LayerError, match="'spare' is part of the network, but is not called when it runs"):
        seewhy.Explainer(network, layer="spare").heatmaps(np.ones((1, 8, 8, 3), np.float32))


class Hides(Subclassed):
    """Runs its blocks inside a tf.function of its own, whose tensors nobody outside can hold."""

    @tf.function
    def run(self, inputs):
        return self.blocks[0](inputs)

    def call(self, inputs):
        return self.head(self.gap(self.run(inputs)))


@pytest.mark.filterwarnings("ignore:.build..:UserWarning")  # Keras cannot build what it cannot see either
def test_a_layer_inside_a_function_of_the_network_s_own():
    network = Hides()
    network(np.zeros((1, 8, 8, 3), np.float32))
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    explainer = seewhy.Explainer(network, layer="block_1")
    with pytest.raises(LayerError, match=r"'block_1' runs inside .* under tf.config.run_functions_eagerly\(True\)"):
        explainer.heatmaps(inputs)
    with pytest.raises(LayerError, match=r"is not called when it runs. Layers inside a tf.function"):
        explainer.heatmaps(inputs)
    with pytest.raises(LayerError, match=r"layer='auto' (found no layer to explain|cannot tell)"):
        seewhy.Explainer(network).heatmaps(
            inputs
        )  # TensorFlow has compiled the function by now: its layer is not heard
    tf.config.run_functions_eagerly(True)
    try:
        advised = explainer.heatmaps(inputs, [0, 1, 2])
    finally:
        tf.config.run_functions_eagerly(False)
    network.run = network.blocks[0]
    np.testing.assert_array_equal(
        advised.values, seewhy.Explainer(network, layer="block_1").heatmaps(inputs, [0, 1, 2]).values
    )


@pytest.mark.parametrize(
    "cut",
    [ops.stop_gradient, lambda x: ops.cast(ops.argmax(x, axis=-1), "float32")[..., None], ops.zeros_like],
    ids=["stop_gradient", "argmax", "not used"],
)
def test_a_layer_no_gradient_reaches_is_an_error_and_not_a_blank_map(cut):
    image = keras.Input((4, 4, 2))
    x = cut(layers.Conv2D(2, 1, name="cut_off")(image))
    network = keras.Model(image, layers.Dense(2, "softmax")(layers.Flatten()(x)))
    explainer = seewhy.Explainer(network, layer="cut_off")
    with pytest.raises(NoGradientError, match="No gradient reaches the layer 'cut_off': the scores do not depend on"):
        explainer.heatmaps(np.ones((1, 4, 4, 2), np.float32))


# What is left behind: nothing


def state(network):
    """Everything about a network that a call could have changed, but for Keras's own note that it was called."""
    every = [network, *network._flatten_layers(include_self=False)]
    return {
        "weights": [np.asarray(weight).tobytes() for weight in network.weights],
        "trainable": [layer.trainable for layer in every],
        "attributes": [
            {name: id(value) for name, value in vars(layer).items() if name != "_called"} for layer in every
        ],
        "losses": len(network.losses),
    }


def failing(_):
    raise RuntimeError("the caller's own mistake")


class HidesTheLast(Subclassed):
    """Its first block stands in the open, its last in a tf.function."""

    @tf.function
    def run(self, inputs):
        return self.blocks[1](inputs)

    def call(self, inputs):
        return self.head(self.gap(self.run(self.blocks[0](inputs))))


@pytest.mark.filterwarnings("ignore:.build..:UserWarning")
def test_auto_does_not_fall_back_on_a_layer_before_a_hidden_one():
    network, inputs = HidesTheLast(), np.ones((1, 8, 8, 3), np.float32)
    network(inputs)
    with pytest.raises(LayerError, match=r"'block_2' runs inside a loop, a branch or a tf.function"):
        seewhy.Explainer(network).heatmaps(inputs)
    with pytest.raises(LayerError, match="layer='auto' cannot tell which layer is the last: after 'block_1'"):
        seewhy.Explainer(network).heatmaps(inputs)
    assert seewhy.Explainer(network, layer="block_1").heatmaps(inputs).layer == "block_1"


def test_losses_are_not_noted():
    image = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, activity_regularizer="l2")(image)
    network = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    inputs = np.ones((1, 4, 4, 1), np.float32)
    network(inputs)
    before = [float(loss) for loss in network.losses]
    seewhy.Explainer(network).heatmaps(inputs)
    assert [float(loss) for loss in network.losses] == before != []


@pytest.mark.parametrize("layer", ["auto", "base/first"])
def test_the_network_is_afterwards_what_it_was(layer):
    network = nested(block("base"))
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    network.predict(inputs, verbose=0)
    explainer, before = seewhy.Explainer(network, layer=layer), state(network)
    said = network(inputs, training=False).numpy()
    explainer.heatmaps(inputs, "top-2")
    assert state(network) == before
    with pytest.raises(RuntimeError, match="the caller's own mistake"):
        explainer.heatmaps(inputs, failing)
    assert state(network) == before
    np.testing.assert_array_equal(network(inputs, training=False).numpy(), said)


def test_a_network_that_fails_is_said_and_left_as_it_was():
    class Fails(Subclassed):
        is_broken = False

        def call(self, inputs):
            outputs = super().call(inputs)
            if self.is_broken:
                raise ValueError("broken on purpose")
            return outputs

    network = Fails()
    network(np.zeros((1, 8, 8, 3), np.float32))
    network.is_broken = True
    before = state(network)
    with pytest.raises(
        NetworkError, match=r"cannot run on an input of shape \(any, 8, 8, 3\): [\s\S]*\nbroken on purpose"
    ):
        seewhy.Explainer(network).heatmaps(np.ones((1, 8, 8, 3), np.float32))
    assert state(network) == before


def test_training_goes_on_and_later_explanations_see_the_new_weights():
    network = with_argument()
    explainer = seewhy.Explainer(network, layer="conv")
    first = explainer.heatmaps(PAPER_INPUT, 0)
    network.layers[-1].set_weights([2 * PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])
    np.testing.assert_allclose(explainer.heatmaps(PAPER_INPUT, 0).values, 2 * first.values, rtol=1e-6)


# Compiled once, used by many


class Counting(Subclassed):
    """Counts how often Python runs through it, which is how often it is traced."""

    runs = 0

    def call(self, inputs):
        self.runs += 1
        return super().call(inputs)


def test_a_step_is_compiled_once_for_each_shape_and_kind_of_target():
    network = Counting()
    network(np.zeros((1, 8, 8, 3), np.float32))
    explainer = seewhy.Explainer(network)
    network.runs = 0
    for targets in (0, 1, [2, 0], [0, 1, 2], "bird", [[0], [1], [2]]):
        if targets != "bird":
            explainer.heatmaps(np.ones((3, 8, 8, 3), np.float32), targets)
    explainer.heatmaps(np.ones((5, 8, 8, 3), np.float32), 1)
    assert network.runs == 1  # classes, their number and the batch's size are free
    explainer.heatmaps(np.ones((1, 8, 8, 3), np.float32), "top-1")
    assert network.runs == 2
    explainer.heatmaps(np.ones((1, 16, 12, 3), np.float32), "top-1")
    assert network.runs == 3


def test_threads_share_an_explainer():
    """Eight threads, two shapes, three kinds of targets, all at once and from the first call on."""
    network = nested(block("base"))
    random = np.random.default_rng(0)
    asked = [
        (random.random((2, 8, 8, 3)).astype(np.float32), targets)
        for targets in ("top-1", [0, 2], "top-3", [1], [[0], [2]], 2)
        for _ in range(4)
    ]
    alone = [seewhy.Explainer(network).heatmaps(inputs, targets).values for inputs, targets in asked]
    shared, barrier = seewhy.Explainer(network), threading.Barrier(8)

    def explain(case):
        if threads_waiting.acquire(blocking=False):
            barrier.wait(timeout=60)
        return shared.heatmaps(*case).values

    threads_waiting = threading.Semaphore(8)
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(explain, asked))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-9)


def test_two_explainers_of_one_network_trace_at_once():
    network = nested(block("base"))
    before, inputs = state(network), np.ones((1, 8, 8, 3), np.float32)
    with ThreadPoolExecutor(4) as threads:
        layers_ = ["base/first", "base/last", "base/last_relu", "auto"]
        found = list(threads.map(lambda layer: seewhy.Explainer(network, layer=layer).heatmaps(inputs).layer, layers_))
    assert found == ["base/first", "base/last", "base/last_relu", "base/last_relu"]
    assert state(network) == before


def test_another_thread_may_use_the_network_meanwhile():
    """The tap hears its own thread alone: a prediction that runs while a trace is open does not disturb it."""

    class Slow(Subclassed):
        def call(self, inputs):
            if tf.executing_eagerly() or not is_watched.is_set():
                return super().call(inputs)
            tracing.set()
            assert predicted.wait(timeout=60)
            return super().call(inputs)

    is_watched, tracing, predicted = threading.Event(), threading.Event(), threading.Event()
    network = Slow()
    inputs = np.ones((1, 8, 8, 3), np.float32)
    expected = network(inputs).numpy()
    is_watched.set()

    def predict():
        assert tracing.wait(timeout=60)
        found = network(inputs).numpy()
        predicted.set()
        return found

    with ThreadPoolExecutor(1) as thread:
        prediction = thread.submit(predict)
        heatmaps = seewhy.Explainer(network).heatmaps(inputs)
        np.testing.assert_array_equal(prediction.result(), expected)
    np.testing.assert_allclose(heatmaps.outputs, expected, rtol=1e-6)


# What is no network, or no input


def test_objects_that_are_no_network():
    with pytest.raises(ModelError, match=r"Cannot explain an object of type builtins.dict: expected a keras.Model"):
        seewhy.Explainer({})
    with pytest.raises(ModelError, match=r"given by name, 'vgg16': load it first, with seewhy.load\('vgg16'\)"):
        seewhy.Explainer("vgg16")
    with pytest.raises(ModelError, match="has no weights yet: build it, or call it on an input"):
        seewhy.Explainer(keras.Sequential([layers.Dense(2)]))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            PAPER_INPUT[0],
            r"shape \(2, 2, 1\); the network expects \(any, 2, 2, 1\). Add the batch axis: inputs\[None\]",
        ),
        (np.ones((1, 3, 2, 1)), r"The input has shape \(1, 3, 2, 1\); the network expects \(any, 2, 2, 1\)\.$"),
        (np.zeros((0, 2, 2, 1)), "an empty batch"),
        (np.array([["a"]]), r"The input is of type <U1; expected an array of numbers, \(N, ...\)"),
        (np.stack([PAPER_INPUT[0], PAPER_INPUT[0] * np.nan]), "NaN or infinite values, in image 1 of the batch"),
        (PAPER_INPUT * np.inf, "NaN or infinite values, in image 0 of the batch"),
    ],
)
def test_inputs_that_do_not_fit(paper_network, inputs, message):
    with pytest.raises(InputError, match=message):
        seewhy.Explainer(paper_network).heatmaps(inputs)


def test_integers_and_doubles_are_inputs_too(paper_network):
    explainer = seewhy.Explainer(paper_network)
    expected = explainer.heatmaps(PAPER_INPUT).values
    for dtype in (np.float64, np.uint8, np.float16):
        np.testing.assert_array_equal(explainer.heatmaps(PAPER_INPUT.astype(dtype)).values, expected)
    np.testing.assert_array_equal(explainer.heatmaps(tf.constant(PAPER_INPUT)).values, expected)


def test_damaged_weights_are_said_and_no_map_is_made_up(paper_network):
    paper_network.layers[-1].set_weights([np.full((8, 2), np.nan, np.float32), np.zeros(2, np.float32)])
    with pytest.raises(NetworkError, match="The network gave NaN or infinite values for image 0 of the batch"):
        seewhy.Explainer(paper_network).heatmaps(PAPER_INPUT)


def two_of_each(structure):
    """Two inputs and two outputs, in lists or dicts: outputs are the paper network's, and its input's pixels."""
    one, two = keras.Input((2, 2, 1), name="one"), keras.Input((2, 2, 1), name="two")
    convolution, flatten, dense = paper_layers("softmax")
    answer = dense(flatten(convolution(layers.Add()([one, two]))))
    pixels = layers.Flatten()(layers.Subtract()([one, two]))
    if structure is dict:
        network = keras.Model({"one": one, "two": two}, {"answer": answer, "pixels": pixels})
        inputs = {"two": PAPER_INPUT * 0.25, "one": PAPER_INPUT * 0.75}
        names = ("answer", "pixels")
    else:
        network, inputs, names = (
            keras.Model([one, two], [answer, pixels]),
            [PAPER_INPUT * 0.75, PAPER_INPUT * 0.25],
            (0, 1),
        )
    set_paper_weights(convolution, dense)
    return network, inputs, names


@pytest.mark.parametrize("structure", [list, dict])
def test_several_inputs_and_outputs(structure):
    network, inputs, (answer, pixels) = two_of_each(structure)
    heatmaps = seewhy.Explainer(network, layer="conv", output=answer).heatmaps(inputs, [0, 1])
    np.testing.assert_allclose(heatmaps.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)
    with pytest.raises(
        ModelError, match=rf"has 2 outputs, and none was named. .* output=...: {answer!r}, {pixels!r}\."
    ):
        seewhy.Explainer(network, layer="conv").heatmaps(inputs)
    with pytest.raises(ModelError, match="has 2 outputs, and 'nose' is not among them"):
        seewhy.Explainer(network, layer="conv", output="nose").heatmaps(inputs)
    with pytest.raises(NoGradientError, match="'conv'"):
        seewhy.Explainer(network, layer="conv", output=pixels).heatmaps(inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda inputs: inputs[:1], "The network has 2 inputs; given 1"),
        (lambda inputs: [inputs[0], inputs[1].repeat(2, axis=0)], r"different numbers of images: \[1, 2\]"),
        (lambda inputs: [inputs[0], inputs[1][:, :1]], r"shape \(1, 1, 2, 1\); the network expects \(any, 2, 2, 1\)"),
        (
            lambda inputs: {"three": inputs[0], "one": inputs[1]},
            "The network has no input 'three'; its inputs are 'one', 'two'",
        ),
        (lambda _: None, "The input is NoneType; expected an array of numbers"),
    ],
)
def test_several_inputs_that_do_not_fit(change, message):
    network, inputs, _ = two_of_each(list)
    changed = change(inputs)
    if isinstance(changed, dict):
        network = two_of_each(dict)[0]
    with pytest.raises(InputError, match=message):
        seewhy.Explainer(network, layer="conv", output=0).heatmaps(changed)


def test_one_input_in_a_list_takes_a_bare_array():
    whole = with_argument()
    network = keras.Model(whole.inputs, whole.outputs)
    for inputs in (PAPER_INPUT, [PAPER_INPUT]):
        heatmaps = seewhy.Explainer(network, layer="conv").heatmaps(inputs, [0, 1])
        np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)


def test_an_output_that_is_not_there():
    with pytest.raises(ModelError, match=r"The network has one output, and output=1 was asked for. Leave it out"):
        seewhy.Explainer(with_argument(), output=1).heatmaps(PAPER_INPUT)


def test_outputs_with_space_take_functions_and_no_classes():
    image = keras.Input((4, 4, 1))
    network = keras.Model(
        image, layers.Conv2D(3, 1, activation="softmax")(layers.Conv2D(2, 3, padding="same", name="c")(image))
    )
    inputs = np.random.default_rng(0).random((2, 4, 4, 1)).astype(np.float32)
    explainer = seewhy.Explainer(network, layer="c")
    with pytest.raises(TargetError, match="not one score for each class"):
        explainer.heatmaps(inputs, 1)
    region = explainer.heatmaps(inputs, lambda logits: ops.mean(logits[:, :2, :2, 1], axis=(1, 2)))
    kernel = np.asarray(network.layers[-1].kernel)[0, 0, :, 1]
    activations = capture(network, "c", resolve(lambda logits: logits[:, 0, 0, 1], int), inputs).activations
    expected = np.maximum(np.einsum("nuvk,k->nuv", activations, kernel / 16), 0)
    np.testing.assert_allclose(region.values[:, 0], expected, rtol=1e-4, atol=1e-7)
