"""The calls of shared layers are numbered as they were written, on every Keras backend, whatever order they run in."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers
from tests.sample_models import weight_array

import seewhy
from seewhy.frameworks import framework_for

LEFT, RIGHT = np.random.default_rng(0).random((2, 1, 6, 6, 1)).astype(np.float32)


def siamese(order=("left", "right"), base_name="base"):
    """Build a pair that shares a nested base, called on its inputs in this order: scores of left minus right."""
    base = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(1, 1, use_bias=False, name="conv")], name=base_name)
    images = {name: keras.Input((6, 6, 1), name=name) for name in ("left", "right")}
    maps = {name: base(images[name]) for name in order}
    difference = layers.Subtract(name="difference")([layers.Flatten()(maps[name]) for name in ("left", "right")])
    model = keras.Model(list(images.values()), layers.Dense(1, use_bias=False, name="dense")(difference))
    weights = np.random.default_rng(1).normal(size=(36, 1)).astype(np.float32)
    model.set_weights([np.full((1, 1, 1, 1), 2, np.float32), weights])
    return model


def explained(model, layer):
    return seewhy.Explainer(model, "hirescam", layer=layer, signed=True).heatmaps([LEFT, RIGHT], lambda scores: scores)


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
@pytest.mark.parametrize("reload", [False, True])
def test_numbers_follow_the_order_in_which_the_calls_were_written(order, reload, tmp_path):
    """With one channel and no ReLU, HiResCAM is twice the image times its weights, by hand."""
    model = siamese(order)
    if reload:
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    weights = weight_array(model.get_layer("dense").kernel).reshape(6, 6)
    by_hand = {"left": 2 * LEFT[0, ..., 0] * weights, "right": -2 * RIGHT[0, ..., 0] * weights}
    for layer, name in (("base/conv#1", order[0]), ("base/conv#2", order[1]), ("base/conv", order[1])):
        np.testing.assert_allclose(explained(model, layer).values[0, 0], by_hand[name], rtol=1e-4, atol=1e-6)


def test_auto_takes_the_call_that_the_name_alone_means():
    model = siamese()
    auto = explained(model, "auto")
    assert auto.layer == "base/conv"
    np.testing.assert_array_equal(auto.values, explained(model, "base/conv").values)


def test_perturbations_run_from_the_call_of_that_number():
    """The head of a linear model: ablating the one channel loses all that the call adds to the score."""
    model = siamese()
    for number, image, sign in ((1, LEFT, 1), (2, RIGHT, -1)):
        framework, layer = framework_for(model), f"base/conv#{number}"
        choice = framework.find_layer(layer)
        inputs = framework.check_inputs([LEFT, RIGHT])
        objective = seewhy.targets.Objective(seewhy.targets.resolve(lambda scores: scores, int))
        head = framework.head(inputs, choice, objective)
        scores = framework.to_numpy(head(np.stack([2 * image[0], 0 * image[0]]).astype(np.float32)))
        weights = weight_array(model.get_layer("dense").kernel)[:, 0]
        np.testing.assert_allclose(scores[0] - scores[1], [sign * 2 * image.ravel() @ weights], rtol=1e-4)


def test_layers_tell_what_each_call_was_given():
    calls = seewhy.Explainer(siamese()).layers([LEFT, RIGHT])
    given = {call.name: call.given for call in calls}
    assert given["base/conv#1"] == given["base#1"] == ("left",)
    assert given["base/conv#2"] == given["base#2"] == ("right",)
    assert [call.name for call in calls if call.has_space] == ["base/conv#1", "base#1", "base/conv#2", "base#2"]
    assert [call.given for call in calls if call.path.startswith("flatten")] == [("base#1",), ("base#2",)]
    assert given["dense#1"] == ("difference",)
    assert [number for number, _ in sorted((call.number, call.execution) for call in calls if call.path == "base")] == [
        1,
        2,
    ]


def test_a_shared_base_in_a_nested_model_is_numbered_from_the_outside():
    """The outer model calls a pair twice, and the pair calls its base twice: four calls, as they were written."""
    pair = siamese()
    names = ("one", "two", "three", "four")
    images = [keras.Input((6, 6, 1), name=name) for name in names]
    parts = [pair(images[:2]), pair(images[2:])]
    model = keras.Model(images, layers.Add()(parts))
    inputs = list(np.random.default_rng(2).random((4, 1, 6, 6, 1)).astype(np.float32))
    calls = seewhy.Explainer(model, layer="conv").layers(inputs)
    assert [call.given for call in calls if call.path.endswith("base/conv")] == [(name,) for name in names]
    weights = weight_array(pair.get_layer("dense").kernel).reshape(6, 6)
    for number, (image, sign) in enumerate(zip(inputs, (1, -1, 1, -1), strict=True), start=1):
        explainer = seewhy.Explainer(model, "hirescam", layer=f"conv#{number}", signed=True)
        values = explainer.heatmaps(inputs, lambda scores: scores).values[0, 0]
        np.testing.assert_allclose(values, sign * 2 * image[0, ..., 0] * weights, rtol=1e-4, atol=1e-6)


class Backwards(keras.Model):
    """Calls its base on the right image first, in its own `call`."""

    def __init__(self):
        super().__init__()
        self.base = layers.Conv2D(1, 1, name="base")
        self.dense = layers.Dense(2)

    def call(self, images):
        right = self.base(images["right"])
        return self.dense(keras.ops.reshape(self.base(images["left"]) - right, (-1, 36)))


def test_a_model_with_a_call_of_its_own_is_numbered_as_it_runs():
    model = Backwards()
    inputs = {"left": LEFT, "right": RIGHT}
    model(inputs)
    calls = seewhy.Explainer(model, layer="base").layers(inputs)
    assert [(call.name, call.given) for call in calls[:2]] == [("base#1", ("right",)), ("base#2", ("left",))]


def test_a_call_that_fails_and_is_caught_does_not_shift_the_others():
    class Careful(Backwards):
        def call(self, images):
            with contextlib.suppress(ValueError):
                self.dense(keras.ops.zeros((1, 7)))
            return super().call(images)

    model = Careful()
    inputs = {"left": LEFT, "right": RIGHT}
    Backwards.call(model, inputs)
    model.built = True
    calls = seewhy.Explainer(model, layer="base").layers(inputs)
    assert [(call.kind, call.number) for call in calls] == [("Conv2D", 1), ("Conv2D", 2), ("Dense", 1)]
