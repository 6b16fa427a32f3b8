"""What goes in and comes out: arrays, lists, dicts, and what does not fit, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts.capturing import capture
from tests.sample_models import (
    PAPER_GRADCAM,
    PAPER_INPUT,
    paper_sequential,
    weight_array,
)

import seewhy
from seewhy.errors import InputError, ModelRunError
from seewhy.targets import resolve


def test_integers_and_doubles_are_inputs_too(paper_model):
    explainer = seewhy.Explainer(paper_model)
    expected = explainer.heatmaps(PAPER_INPUT).values
    for dtype in (np.float64, np.uint8, np.float16):
        np.testing.assert_array_equal(explainer.heatmaps(PAPER_INPUT.astype(dtype)).values, expected)
    np.testing.assert_array_equal(explainer.heatmaps(ops.convert_to_tensor(PAPER_INPUT)).values, expected)


def test_gradients_that_are_no_numbers_are_said_too():
    """The square root's slope at 0 is infinite; through a convolution of zeros that makes 0 times infinity."""
    image = keras.Input((2, 2, 1))
    zero = layers.Conv2D(1, 1, kernel_initializer="zeros")(layers.Conv2D(1, 1, name="conv")(image))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(ops.sqrt(zero))))
    with pytest.raises(ModelRunError, match="The model gave NaN or infinite values for image 0"):
        seewhy.Explainer(model, layer="conv").heatmaps(PAPER_INPUT, [0, 1])


def in_two(structure):
    """The paper model of the sum of two inputs, in a list or a dict."""
    whole, parts = paper_sequential(), [keras.Input((2, 2, 1), name=name) for name in ("one", "two")]
    inputs = parts if structure is list else dict(zip(("one", "two"), parts, strict=True))
    return keras.Model(inputs, whole(layers.Add()(parts)))


def test_a_list_of_inputs_by_name_lacks_none_of_them():
    with pytest.raises(InputError, match="The inputs lack 'two'; the model takes 'one', 'two'"):
        seewhy.Explainer(in_two(list), layer="conv").heatmaps({"one": PAPER_INPUT})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda inputs: inputs[:1], "The model has 2 inputs; given 1"),
        (
            lambda inputs: [inputs[0], inputs[1].repeat(2, axis=0)],
            "different numbers of images: 1 in 'one', 2 in 'two'",
        ),
        (
            lambda inputs: [inputs[0], inputs[1][:, :1]],
            r"The input 'two' has shape \(1, 1, 2, 1\); the model expects \(any, 2, 2, 1\)",
        ),
        (
            lambda inputs: {"three": inputs[0], "one": inputs[1]},
            "The model has no input 'three'; its inputs are 'one', 'two'",
        ),
        (lambda inputs: {"one": inputs[0]}, "The model has 2 inputs; given 1"),
        (lambda _: None, "The input is NoneType; expected an array of numbers"),
    ],
)
def test_several_inputs_that_do_not_fit(change, message):
    changed = change([PAPER_INPUT, PAPER_INPUT])
    model = in_two(dict if isinstance(changed, dict) else list)
    with pytest.raises(InputError, match=message):
        seewhy.Explainer(model, layer="conv").heatmaps(changed)


def test_one_input_in_a_list_takes_a_bare_array():
    whole = paper_sequential()
    model = keras.Model(whole.inputs, whole.outputs)
    for inputs in (PAPER_INPUT, [PAPER_INPUT]):
        heatmaps = seewhy.Explainer(model, layer="conv").heatmaps(inputs, [0, 1])
        np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)


class Subclassed(keras.Model):
    """The paper model of the sum of what it is given; Keras does not know what a subclassed model takes."""

    def __init__(self):
        super().__init__()
        self.whole = paper_sequential()

    def call(self, inputs):
        return self.whole(sum(inputs) if isinstance(inputs, (list, tuple)) else inputs)


def subclassed(inputs):
    model = Subclassed()
    model(inputs)
    return model


@pytest.mark.parametrize("structure", [list, tuple])
@pytest.mark.parametrize("as_array", [np.asarray, ops.convert_to_tensor])
def test_a_list_of_arrays_is_several_inputs_of_a_subclassed_model(structure, as_array):
    images = np.concatenate([PAPER_INPUT, 3 * PAPER_INPUT, -PAPER_INPUT])
    explainer = seewhy.Explainer(subclassed([images, images]), layer="conv")
    heatmaps = explainer.heatmaps(structure(map(as_array, [images, 0.5 * images])), [0, 1])
    expected = seewhy.Explainer(paper_sequential(), layer="conv").heatmaps(1.5 * images, [0, 1])
    np.testing.assert_allclose(heatmaps.values, expected.values, atol=1e-5)
    with pytest.raises(InputError, match="images: 3 in 'input 1', 1 in 'input 2'"):
        explainer.heatmaps([images, PAPER_INPUT])


@pytest.mark.parametrize("build", [lambda: subclassed(PAPER_INPUT), paper_sequential])
def test_nested_lists_of_numbers_are_one_array(build):
    heatmaps = seewhy.Explainer(build(), layer="conv").heatmaps(PAPER_INPUT.tolist(), [0, 1])
    np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)


def test_outputs_with_space_take_functions():
    image = keras.Input((4, 4, 1))
    model = keras.Model(
        image, layers.Conv2D(3, 1, activation="softmax")(layers.Conv2D(2, 3, padding="same", name="c")(image))
    )
    inputs = np.random.default_rng(0).random((2, 4, 4, 1)).astype(np.float32)
    explainer = seewhy.Explainer(model, layer="c")
    region = explainer.heatmaps(inputs, lambda logits: ops.mean(logits[:, :2, :2, 1], axis=(1, 2)))
    kernel = weight_array(model.layers[-1].kernel)[0, 0, :, 1]
    activations = capture(model, "c", resolve(lambda logits: logits[:, 0, 0, 1], int), inputs).activations
    expected = np.maximum(np.einsum("nuvk,k->nuv", activations, kernel / 16), 0)
    np.testing.assert_allclose(region.values[:, 0], expected, rtol=1e-4, atol=1e-7)
