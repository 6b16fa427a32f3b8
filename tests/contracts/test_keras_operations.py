"""Operations of functional models, such as `x + y`, are explained as layers are, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts.capturing import capture
from tests.sample_models import PAPER_INPUT

import seewhy
from seewhy.errors import LayerError, MethodError
from seewhy.frameworks import LayerChoice, framework_for
from seewhy.targets import Class, Objective

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def residual(x, name):
    """Return the sum of ConvNeXt's block: what it is given, and its branch."""
    branch = layers.DepthwiseConv2D(3, padding="same", name=f"{name}_depthwise")(x)
    branch = layers.LayerNormalization(name=f"{name}_norm")(branch)
    branch = layers.Dense(8, "gelu", name=f"{name}_expand")(branch)
    return x + layers.Dense(4, name=f"{name}_project")(branch)


def convnext():
    """Build a model of two blocks, and return its last sum, too."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    stem = layers.Conv2D(4, 2, strides=2, name="stem")(image)
    total = residual(residual(stem, "first"), "second")
    scores = layers.Dense(3, "softmax", name="classes")(layers.GlobalAveragePooling2D(name="pool")(total))
    return keras.Model(image, scores, name="convnext"), total


def operation_of(tensor):
    return tensor._keras_history.operation


def by_hand(model, total):
    """Grad-CAM of each class at a layer that only pooling and a dense layer follow: ReLU(A w) / positions."""
    activations = np.asarray(keras.Model(model.input, total).predict(IMAGES, verbose=0))
    kernel, _ = model.get_layer("classes").get_weights()
    return np.maximum(np.einsum("nhwk,kt->nthw", activations, kernel), 0) / np.prod(activations.shape[1:3])


def test_auto_takes_the_last_sum_and_gives_its_map():
    model, total = convnext()
    operation = operation_of(total)
    expected = by_hand(model, total)
    assert expected.max() > 0.01
    heatmaps = seewhy.Explainer(model).heatmaps(IMAGES, [0, 1, 2])
    assert heatmaps.layer == operation.name
    np.testing.assert_allclose(heatmaps.values, expected, atol=1e-5 * expected.max())
    framework = framework_for(model)
    for layer, number in ((operation, None), (operation.name, None), (f"{operation.name}#1", 1)):
        assert framework.find_layer(layer) == LayerChoice(operation.name, number)


def test_operations_are_among_the_calls_and_paths():
    model, total = convnext()
    operation = operation_of(total)
    framework = framework_for(model)
    assert framework.layer_paths()[-3:] == (operation.name, "pool", "classes")
    assert framework.path_of(operation) == operation.name
    call = next(call for call in framework.calls(IMAGES) if call.path == operation.name)
    assert (call.kind, call.shape, call.number, call.is_candidate) == ("Add", (4, 4, 4), 1, True)
    assert len(call.given) == 2
    assert call.given[1] == "second_project"
    assert call.given[0] in framework.layer_paths()


def test_an_operation_is_perturbed_like_a_layer():
    """Of the head: the scores are linear in what is put in the place of the sum; the last block does not run."""
    model, total = convnext()
    framework = framework_for(model)
    objective = Objective(Class((0, 1, 2)), "logit")
    head = framework.head(IMAGES[:1], framework.find_layer(operation_of(total)), objective)
    activations = np.random.default_rng(1).normal(size=(3, 4, 4, 4)).astype(np.float32)
    kernel, bias = model.get_layer("classes").get_weights()
    expected = activations.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(framework.to_numpy(head(activations)), expected, rtol=1e-4, atol=1e-5)


def test_operations_of_a_shared_nested_model_are_numbered():
    """y = sum(w * (2 x + x)) of each image: HiResCAM at either call of the sum is 3 x times the weights."""
    image = keras.Input((2, 2, 1))
    doubled = layers.Conv2D(1, 1, use_bias=False, name="doubled")(image)
    base = keras.Model(image, keras.ops.add(doubled, image), name="base")
    left, right = keras.Input((2, 2, 1), name="left"), keras.Input((2, 2, 1), name="right")
    flat = [layers.Flatten()(base(each)) for each in (left, right)]
    model = keras.Model([left, right], layers.Dense(1, use_bias=False, name="dense")(ops.subtract(*flat)))
    weights = np.arange(1, 5, dtype=np.float32)
    model.set_weights([np.full((1, 1, 1, 1), 2, np.float32), weights[:, None]])
    (path,) = [path for path in framework_for(model).layer_paths() if path.startswith("base/add")]
    inputs = [PAPER_INPUT, 10 * PAPER_INPUT]
    for number, image, sign in ((1, PAPER_INPUT, 1), (2, 10 * PAPER_INPUT, -1)):
        explainer = seewhy.Explainer(model, "hirescam", layer=f"{path}#{number}", signed=True)
        heatmaps = explainer.heatmaps(inputs, lambda scores: scores)
        np.testing.assert_allclose(
            heatmaps.values[0, 0], sign * 3 * image[0, ..., 0] * weights.reshape(2, 2), rtol=1e-5
        )


class Halved(keras.Operation):
    """An operation that is not Keras's own."""

    def call(self, x):
        return x / 2

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


AFTER = {
    "scaled": (lambda x: (x - 1.0) / 255, False),
    "added to itself": (lambda x: x + x, False),
    "cast and padded": (lambda x: ops.pad(ops.cast(x, "float32"), ((0, 0), (1, 1), (1, 1), (0, 0))), False),
    "sliced": (lambda x: x[:, :2], False),
    "turned to tokens": (lambda x: ops.reshape(x, (-1, 16, 2)), False),
    "pooled": (lambda x: ops.mean(x, axis=1), False),
    "tokens after each other": (lambda x: ops.concatenate([x, ops.flip(x, 1)], axis=1), False),
    "multiplied as matrices": (lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))), False),
    "channels after each other": (lambda x: ops.concatenate([x, ops.tanh(x)], axis=-1), True),
    "gated": (lambda x: x * ops.sigmoid(x), True),
    "activated": (ops.relu, True),
    "an operation of the user's": (Halved(name="halved"), True),
}


@pytest.mark.parametrize("case", AFTER)
def test_auto_takes_operations_that_compute_and_none_that_only_moves_or_scales(case):
    build, is_taken = AFTER[case]
    image = keras.Input((4, 4, 1))
    last = build(layers.Conv2D(2, 1, name="conv")(image))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(last)))
    chosen = [call for call in framework_for(model).calls(np.ones((1, 4, 4, 1), np.float32)) if call.is_candidate][-1]
    assert chosen.path == (operation_of(last).name if is_taken else "conv")


def test_any_operation_with_positions_can_be_named():
    """The dense layer reads the transposed image: at that operation its weights are the gradients, transposed too."""
    image = keras.Input((2, 2, 1))
    turned = ops.transpose(layers.Conv2D(2, 1, name="conv")(image), (0, 3, 1, 2))
    model = keras.Model(image, layers.Dense(1, use_bias=False, name="dense")(layers.Flatten()(turned)))
    weights = np.arange(8, dtype=np.float32)
    model.get_layer("dense").set_weights([weights[:, None]])
    captured = capture(model, operation_of(turned), Class((0,)))
    conv = capture(model, "conv", Class((0,)))
    np.testing.assert_array_equal(captured.gradients[0, 0], weights.reshape(2, 2, 2).transpose(1, 2, 0))
    np.testing.assert_array_equal(captured.gradients, conv.gradients)
    np.testing.assert_array_equal(captured.activations, conv.activations)
    with pytest.raises(LayerError, match="is not part of the model"):
        capture(model, Halved(name="another"))


def test_an_operation_in_a_remat_scope_is_tapped():
    image = keras.Input((2, 2, 1))
    conv = layers.Conv2D(1, 1, use_bias=False, name="conv")(image)
    with keras.RematScope(mode="full"):
        total = ops.add(conv, image)
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(total)))
    model.set_weights([np.full((1, 1, 1, 1), 2, np.float32), np.arange(4, dtype=np.float32)[:, None]])
    captured = capture(model, "auto", Class((0,)))
    assert captured.layer == operation_of(total).name
    np.testing.assert_array_equal(captured.activations, 3 * PAPER_INPUT)
    np.testing.assert_array_equal(captured.gradients[0, 0, ..., 0], [[0, 1], [2, 3]])


def test_guided_rules_recognise_activations_made_of_operations():
    """A hard sigmoid is relu6(x + 3) / 6: what operations compute one after the other is seen as one activation."""
    image = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, name="conv")(image)
    gate = ops.relu6(x + 3.0) / 6.0
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))))
    with pytest.raises(MethodError, match="hard sigmoid"):
        seewhy.Explainer(model, "guided_backprop").heatmaps(np.ones((1, 4, 4, 1), np.float32), 0)


def test_copies_find_operations_again():
    model, total = convnext()
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    heatmaps = seewhy.Explainer(keras.Sequential([keras.Input((8, 8, 3)), copy])).heatmaps(IMAGES, [0, 1, 2])
    assert heatmaps.layer == f"convnext/{operation_of(total).name}"
    np.testing.assert_allclose(heatmaps.values, by_hand(model, total), atol=1e-6)
