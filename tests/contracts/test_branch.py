"""What follows a layer, run alone for variations of its activations, on every Keras backend."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts import in_keras, reference
from tests.sample_models import (
    PAPER_ACTIVATIONS,
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    Counting,
    Unused,
    block,
    nested,
    paper_sequential,
    predict,
    squeeze_and_excite,
    state,
    twice_nested,
)

from seewhy.errors import LayerError, ModelError, TargetError
from seewhy.frameworks import LayerChoice, framework_for
from seewhy.frameworks.layers import INPUT
from seewhy.targets import Class, Combined, Function, Objective, TopK

BOTH = Class((0, 1))

RANDOM = np.random.default_rng(3)


class Branched:
    """A model cut at a layer, in NumPy."""

    def __init__(self, model, layer, inputs, target=BOTH, score="logit", output=None):
        self.framework = framework_for(model)
        choice = layer if isinstance(layer, LayerChoice) else self.framework.find_layer(layer)
        inputs, objective = self.framework.check_inputs(inputs), Objective(target, score, output)
        self._head = self.framework.head(inputs, choice, objective)
        self.capture = self.framework.capture(inputs, choice, objective, "none")

    @property
    def captured(self):
        """The activations and the scores of the image itself."""
        return self.framework.to_numpy(self.capture.activations), self.framework.to_numpy(self.capture.scores)

    def __call__(self, perturbations):
        return self.framework.to_numpy(self._head(np.asarray(perturbations, np.float32)))


def images(*shape):
    return np.random.default_rng(0).random((1, *shape)).astype(np.float32)


MODELS = {
    "softmax": (paper_sequential, "conv", PAPER_INPUT),
    "nested": (lambda: nested(block("base")), "base/first", images(8, 8, 3)),
    "nested, a whole base": (lambda: nested(block("base")), "base", images(8, 8, 3)),
    "nested twice": (twice_nested, "outer/inner/last_relu", images(8, 8, 3)),
    "squeeze and excite": (squeeze_and_excite, "conv", images(8, 8, 3)),
    "the reference": (in_keras.plain, "features", reference.images(1)),
    "auto": (in_keras.plain, "auto", reference.images(1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_unchanged_activations_give_the_captured_scores(name):
    make, layer, inputs = MODELS[name]
    branched = Branched(make(), layer, inputs)
    activations, scores = branched.captured
    np.testing.assert_allclose(branched(np.repeat(activations, 3, 0)), np.repeat(scores, 3, 0), rtol=1e-5, atol=1e-6)


def test_changed_activations_on_paper():
    """The logits are linear in the maps: the dense layer's own weights."""
    branched = Branched(paper_sequential(), "conv", PAPER_INPUT)
    doubled, silent = 2 * PAPER_ACTIVATIONS, PAPER_ACTIVATIONS * [1, 0]
    alone = (PAPER_GRADIENTS * silent).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(branched([doubled, silent]), [2 * PAPER_LOGITS, alone], rtol=1e-6)


def test_changed_activations_of_the_reference():
    """For each of 5 variations of the first layer, what the same layers give in NumPy."""
    kernels, biases = reference.weights()
    hidden = RANDOM.normal(size=(5, *reference.SIZE, 8)).astype(np.float32)
    maps = np.maximum(reference.convolve(hidden, kernels["features"], biases["features"], padding=0), 0)
    logits = maps.reshape(5, -1) @ kernels["dense"] + biases["dense"]
    model, inputs = in_keras.plain(), reference.images(1)
    selected = {"logit": logits, "probability": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)}
    for score, expected in selected.items():
        found = Branched(model, "first", inputs, Class((3, 1)), score)(hidden)
        np.testing.assert_allclose(found, expected[:, [3, 1]], rtol=1e-4, atol=1e-5)


def skipping():
    """y = dense(mean(conv(x) * 2 + shortcut(x))), the shortcut being called after the layer that it goes round."""
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(2, 1, name="before")(image)
    tapped = layers.Conv2D(2, 1, name="conv")(x)
    round_it = layers.Conv2D(2, 1, name="shortcut")(x)
    total = layers.Add()([layers.Rescaling(2.0)(tapped), round_it])
    return keras.Model(image, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(total)))


def test_what_passes_by_the_layer_stays_what_it_was():
    model, inputs = skipping(), images(4, 4, 3)
    passing = predict(keras.Model(model.input, model.get_layer("shortcut").output), inputs)
    kernel, bias = model.get_layer("head").get_weights()
    perturbations = RANDOM.normal(size=(4, 4, 4, 2)).astype(np.float32)
    expected = (2 * perturbations + passing).mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(Branched(model, "conv", inputs)(perturbations), expected, rtol=1e-4, atol=1e-6)


def shared():
    image = keras.Input((4, 4, 2))
    conv = layers.Conv2D(2, 1, name="conv")
    return keras.Model(image, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(conv(conv(image) * 3))))


def test_each_call_of_a_shared_layer_has_a_head_of_its_own():
    model, inputs = shared(), images(4, 4, 2)
    last = keras.Sequential([model.layers[-2], model.get_layer("head")])
    perturbations = RANDOM.normal(size=(3, 4, 4, 2)).astype(np.float32)
    runner = predict(model.get_layer("conv"), 3 * perturbations)
    for layer, into_last in (("conv#1", runner), ("conv#2", perturbations), ("conv", perturbations)):
        expected = predict(last, into_last)
        np.testing.assert_allclose(Branched(model, layer, inputs)(perturbations), expected, rtol=1e-4, atol=1e-6)


def test_the_input_can_be_varied():
    model, perturbations = in_keras.plain(), reference.images(4)
    found = Branched(model, LayerChoice(INPUT), perturbations[:1])(perturbations)
    np.testing.assert_allclose(found, reference.expected(perturbations, (0, 1)).scores, rtol=1e-4, atol=1e-5)


def first_less_last(outputs):
    return outputs[:, 0] - outputs[:, -1]


def test_every_kind_of_target():
    model, inputs = in_keras.plain(), reference.images(1)
    everything = Branched(model, "features", inputs, Class((0, 1, 2, 3)))
    perturbations = np.concatenate([everything.captured[0], RANDOM.random((4, 10, 8, 6))]).astype(np.float32)
    logits = everything(perturbations)
    best = np.argsort(-logits[:1], axis=1)[:, :2]
    targets = {
        TopK(2).with_classes(best): logits[:, best[0]],
        Class(((2,),)): logits[:, [2]],
        Function(first_less_last): (logits[:, 0] - logits[:, 3])[:, None],
        Combined((Class((1,)), Function(first_less_last))): np.stack([logits[:, 1], logits[:, 0] - logits[:, 3]], 1),
    }
    for target, expected in targets.items():
        found = Branched(model, "features", inputs, target)(perturbations)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_single_sigmoid_is_two_classes():
    model = keras.Sequential(
        [keras.Input((4, 4, 2)), layers.Conv2D(2, 1, name="conv"), layers.Flatten(), layers.Dense(1, "sigmoid")]
    )
    kernel, bias = model.layers[-1].get_weights()
    perturbations = RANDOM.normal(size=(3, 4, 4, 2)).astype(np.float32)
    logit = perturbations.reshape(3, -1) @ kernel + bias
    found = Branched(model, "conv", images(4, 4, 2))(perturbations)
    np.testing.assert_allclose(found, np.concatenate([-logit, logit], axis=1), rtol=1e-4, atol=1e-6)


def test_one_of_several_outputs():
    image = keras.Input((4, 4, 3))
    maps = layers.Conv2D(2, 1, name="conv")(image)
    pooled = layers.GlobalAveragePooling2D()(maps)
    outputs = {"a": layers.Dense(2, name="a")(pooled), "b": layers.Dense(3, "softmax", name="b")(pooled)}
    model = keras.Model(image, outputs)
    kernel, bias = model.get_layer("b").get_weights()
    perturbations = RANDOM.normal(size=(2, 4, 4, 2)).astype(np.float32)
    found = Branched(model, "conv", images(4, 4, 3), Class((0, 1, 2)), output="b")(perturbations)
    np.testing.assert_allclose(found, perturbations.mean(axis=(1, 2)) @ kernel + bias, rtol=1e-4, atol=1e-6)


def test_channels_first_layers_are_varied_channels_last():
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no convolutions with channels first on a CPU")
    image = keras.Input((3, 4, 5))
    maps = layers.Conv2D(2, 1, data_format="channels_first", name="conv")(image)
    model = keras.Model(image, layers.Dense(2, name="head")(layers.Flatten(data_format="channels_last")(maps)))
    kernel, bias = model.get_layer("head").get_weights()
    perturbations = RANDOM.normal(size=(3, 4, 5, 2)).astype(np.float32)
    branched = Branched(model, "conv", images(3, 4, 5))
    expected = perturbations.transpose(0, 3, 1, 2).reshape(3, -1) @ kernel + bias
    np.testing.assert_allclose(branched(perturbations), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(branched(branched.captured[0]), branched.captured[1], rtol=1e-5)


def test_half_precision():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(2, 1, name="conv", dtype="mixed_float16"),
            layers.Flatten(),
            layers.Dense(2, "softmax"),
        ]
    )
    branched = Branched(model, "conv", images(4, 4, 3))
    activations, scores = branched.captured
    found = branched(np.concatenate([activations, 0 * activations]))
    np.testing.assert_allclose(found[:1], scores, rtol=1e-3)
    np.testing.assert_allclose(found[1:], [model.layers[-1].bias], atol=1e-6)
    assert found.dtype == np.float32


def test_python_runs_no_more_than_once_however_much_is_varied():
    """On TensorFlow and JAX it is traced, and what is traced is kept; on PyTorch it runs once for each cut."""
    model = Counting()
    model(np.zeros((1, 8, 8, 3), np.float32))
    framework, inputs = framework_for(model), images(8, 8, 3)
    objective, layer = Objective(BOTH), framework.find_layer("block_1")
    framework.head(inputs, layer, objective)
    before = model.runs
    head = framework.head(inputs, layer, objective)
    for _ in range(3):
        head(np.zeros((2, 8, 8, 3), np.float32))
    assert model.runs - before == (1 if keras.backend.backend() == "torch" else 0)


def test_trained_weights_are_seen_and_the_same_function_serves_other_images():
    model, inputs = paper_sequential(), PAPER_INPUT
    framework = framework_for(model)
    layer, objective = framework.find_layer("conv"), Objective(BOTH)
    first = framework.to_numpy(framework.head(inputs, layer, objective)(PAPER_ACTIVATIONS[None]))
    model.layers[-1].set_weights([2 * PAPER_GRADIENTS.reshape(2, 8).T, np.ones(2, np.float32)])
    then = framework.to_numpy(framework.head(2 * inputs, layer, objective)(PAPER_ACTIVATIONS[None]))
    np.testing.assert_allclose(first, PAPER_LOGITS[None], rtol=1e-6)
    np.testing.assert_allclose(then, 2 * PAPER_LOGITS[None] + 1, rtol=1e-6)


def test_one_cut_does_not_change_another():
    """The same compiled parts serve two images, each with its own skip connection."""
    framework = framework_for(skipping())
    inputs = np.concatenate([images(4, 4, 3), 5 * images(4, 4, 3)])
    layer, objective = framework.find_layer("conv"), Objective(BOTH)
    heads = [framework.head(inputs[row : row + 1], layer, objective) for row in range(2)]
    captured = framework.capture(inputs, layer, objective, "none")
    activations, scores = framework.to_numpy(captured.activations), framework.to_numpy(captured.scores)
    for row in range(2):
        found = framework.to_numpy(heads[row](activations[row : row + 1]))
        np.testing.assert_allclose(found, scores[row : row + 1], rtol=1e-4, atol=1e-6)
    assert not np.allclose(framework.to_numpy(heads[0](activations[1:])), scores[1:], atol=1e-3)


def test_the_model_is_afterwards_what_it_was():
    model, inputs = nested(block("base")), images(8, 8, 3)
    model.predict(inputs, verbose=0)
    framework_for(model).calls(inputs)
    before, message_of = state(model), predict(model, inputs)
    Branched(model, "base/first", inputs)(np.ones((2, 8, 8, 4)))
    with pytest.raises(TargetError, match="There is no class 9"):
        Branched(model, "base/first", inputs, Class((9,)))
    assert state(model) == before
    np.testing.assert_array_equal(predict(model, inputs), message_of)


def test_threads_branch_at_once():
    model, inputs = nested(block("base")), images(8, 8, 3)
    framework, cases = framework_for(model), [("base/first", 4), ("base/last_relu", 5)] * 4

    def score(case):
        layer, channels = case
        head = framework.head(inputs, framework.find_layer(layer), Objective(BOTH))
        size = 8 if channels == 4 else 4
        return framework.to_numpy(head(np.full((2, size, size, channels), 0.5, np.float32)))

    alone = [score(case) for case in cases[:2]] * 4
    with ThreadPoolExecutor(4) as threads:
        for one, other in zip(threads.map(score, cases), alone, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.build..:UserWarning")  # Keras sees that one layer was never built: the point
def test_what_cannot_be_branched_is_said():
    unused = Unused()
    unused(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(LayerError, match="'spare' is part of the model, but is not called"):
        Branched(unused, "spare", images(8, 8, 3))
    with pytest.raises(LayerError, match="not one tensor with more than one position"):
        Branched(paper_sequential(), "dense", PAPER_INPUT)
    with pytest.raises(ModelError, match="The model has one output"):
        Branched(paper_sequential(), "conv", PAPER_INPUT, output="b")


def test_a_layer_that_the_scores_do_not_depend_on_changes_none():
    image = keras.Input((4, 4, 3))
    maps = layers.Conv2D(2, 1, name="conv")(image)
    aside = layers.Dense(2, name="aside")(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(image, {"aside": aside, "mean": layers.GlobalAveragePooling2D()(image)})
    inputs = images(4, 4, 3)
    found = Branched(model, "conv", inputs, output="mean")(np.ones((3, 4, 4, 2)))
    np.testing.assert_allclose(found, np.repeat(inputs.mean(axis=(1, 2))[:, :2], 3, 0), rtol=1e-5)


class FirstRow(layers.Layer):
    """Writes the first row of maps into maps of zeros."""

    def call(self, inputs):
        return ops.slice_update(ops.zeros_like(inputs), (0, 0, 0, 0), inputs[:, :1])


def test_a_slice_is_written():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(2, 1, name="conv"), FirstRow(), layers.GlobalAveragePooling2D()]
    )
    perturbations = RANDOM.normal(size=(3, 4, 4, 2)).astype(np.float32)
    found = Branched(model, "conv", images(4, 4, 3))(perturbations)
    np.testing.assert_allclose(found, perturbations[:, :1].mean(axis=(1, 2)) / 4, rtol=1e-4, atol=1e-6)
