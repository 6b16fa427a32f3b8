"""Which layer is explained, in models of every build, and what a caller may say of it, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts.capturing import capture
from tests.sample_models import (
    PAPER_INPUT,
    block,
    built_subclassed,
    nested,
    squeeze_and_excite,
    twice_nested,
)

import seewhy
from seewhy.errors import LayerError, NoGradientError
from seewhy.frameworks import framework_for
from seewhy.targets import Class

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
    calls = framework_for(build()).calls(inputs)
    chosen = [call for call in calls if call.is_candidate][-1]
    assert (chosen.path, chosen.shape) == (path, shape)


@pytest.mark.parametrize(
    ("name", "path", "channels"),
    [
        ("VGG16", "block5_conv3", 512),
        ("ResNet50", "conv5_block3_out", 2048),
        pytest.param(
            *("Xception", "block14_sepconv2_act", 2048),
            marks=pytest.mark.slow(reason="a large model; its last layers are like those of MobileNetV3"),
        ),
        ("MobileNetV3Small", "activation", 576),
    ],
)
def test_the_real_architectures(name, path, channels):
    """What DESIGN promises of `auto`, on the models people have; weights and sizes do not matter here."""
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classes=2)
    calls = framework_for(model).calls(np.zeros((1, 96, 96, 3), np.float32))
    chosen = [call for call in calls if call.is_candidate][-1]
    assert chosen.shape == (3, 3, channels) if name != "VGG16" else (6, 6, channels)
    assert chosen.path == path or chosen.path.startswith("activation")


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
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(joined)))
    model.set_weights([np.full((1, 1, 1, 1), 2, np.float32), np.arange(16, dtype=np.float32)[:, None]])
    inputs = np.ones((1, 4, 4, 1), np.float32)
    captured = capture(model, "tapped", Class((0,)), inputs)
    assert captured.scores[0, 0] == 3 * sum(range(16))
    np.testing.assert_allclose(captured.gradients[0, 0, ..., 0], np.arange(16).reshape(4, 4))


def test_of_a_shared_layer_the_last_call_is_explained():
    """y = sum(w * A), A = conv(conv(x)): with a doubling convolution the last call's output is 4 x."""
    image = keras.Input((2, 2, 1))
    shared = layers.Conv2D(1, 1, use_bias=False, name="shared")
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(shared(shared(image)))))
    model.set_weights([np.full((1, 1, 1, 1), 2, np.float32), np.arange(4, dtype=np.float32)[:, None]])
    captured = capture(model, "shared", Class((0,)))
    np.testing.assert_array_equal(captured.activations, 4 * PAPER_INPUT)
    np.testing.assert_array_equal(captured.gradients[0, 0, ..., 0], [[0, 1], [2, 3]])
    last = capture(model, "shared#2", Class((0,)))
    np.testing.assert_array_equal(last.activations, captured.activations)
    first = capture(model, "shared#1", Class((0,)))
    np.testing.assert_array_equal(first.activations, 2 * PAPER_INPUT)
    np.testing.assert_array_equal(first.gradients[0, 0, ..., 0], [[0, 2], [4, 6]])
    with pytest.raises(LayerError, match="There is no call shared#3: the layer 'shared' is called 2 times"):
        capture(model, "shared#3", Class((0,)))


def test_a_frozen_base_is_explained_like_any_other():
    base = block("base")
    model = nested(base)
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32) * 255
    free = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2]).values
    base.trainable = False
    np.testing.assert_array_equal(seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2]).values, free)
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
    model = nested(block("base"))
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    message_of = ["base/last", "last", model.get_layer("base").get_layer("last")]
    found = [seewhy.Explainer(model, layer=layer).heatmaps(inputs) for layer in message_of]
    assert [each.layer for each in found] == ["base/last"] * 3
    np.testing.assert_array_equal(found[0].values, found[2].values)


def test_a_nested_model_is_a_layer_too():
    model = nested(block("base", pool=True))
    heatmaps = seewhy.Explainer(model, layer="base").heatmaps(np.ones((1, 8, 8, 3), np.float32))
    assert heatmaps.values.shape == (1, 1, 2, 2)


def test_a_layer_whose_batch_is_not_the_images():
    image = keras.Input((2, 4, 4, 1))
    folded = layers.Conv2D(1, 1, name="folded")(ops.reshape(image, (-1, 4, 4, 1)))
    model = keras.Model(image, layers.Dense(2)(ops.reshape(folded, (-1, 32))))
    with pytest.raises(LayerError, match="'folded' has 6 rows for 3 images: the model folds other axes"):
        seewhy.Explainer(model, layer="folded").heatmaps(np.ones((3, 2, 4, 4, 1), np.float32), 0)


def test_auto_without_any_layer_with_space():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="only")])
    with pytest.raises(LayerError, match=r"layer='auto' found no layer to explain.*Outputs: only \(3,\)\."):
        seewhy.Explainer(model).heatmaps(np.ones((1, 4), np.float32))


@pytest.mark.parametrize(
    "split",
    [ops.stop_gradient, lambda x: ops.cast(ops.argmax(x, axis=-1), "float32")[..., None], ops.zeros_like],
    ids=["stop_gradient", "argmax", "not used"],
)
def test_a_layer_no_gradient_reaches_is_an_error_and_not_a_blank_map(split):
    image = keras.Input((4, 4, 2))
    x = split(layers.Conv2D(2, 1, name="cut_off")(image))
    model = keras.Model(image, layers.Dense(2, "softmax")(layers.Flatten()(x)))
    explainer = seewhy.Explainer(model, layer="cut_off")
    with pytest.raises(NoGradientError, match="No gradient reaches the layer 'cut_off': the scores do not depend on"):
        explainer.heatmaps(np.ones((1, 4, 4, 2), np.float32))
