"""What goes in and comes out: arrays, lists, dicts, and what does not fit, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts.capturing import capture
from tests.networks import (
    PAPER_GRADCAM,
    PAPER_INPUT,
    PAPER_LOGITS,
    paper_layers,
    paper_sequential,
    set_paper_weights,
    weight_array,
)

import seewhy
from seewhy.errors import InputError, ModelError, NetworkError, NoGradientError, TargetError
from seewhy.targets import resolve

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
    np.testing.assert_array_equal(explainer.heatmaps(ops.convert_to_tensor(PAPER_INPUT)).values, expected)


def test_damaged_weights_are_said_and_no_map_is_made_up(paper_network):
    paper_network.layers[-1].set_weights([np.full((8, 2), np.nan, np.float32), np.zeros(2, np.float32)])
    with pytest.raises(NetworkError, match="The network gave NaN or infinite values for image 0 of the batch"):
        seewhy.Explainer(paper_network).heatmaps(PAPER_INPUT)


def test_gradients_that_are_no_numbers_are_said_too():
    """The square root's slope at 0 is infinite; through a convolution of zeros that makes 0 times infinity."""
    image = keras.Input((2, 2, 1))
    zero = layers.Conv2D(1, 1, kernel_initializer="zeros")(layers.Conv2D(1, 1, name="conv")(image))
    network = keras.Model(image, layers.Dense(2)(layers.Flatten()(ops.sqrt(zero))))
    with pytest.raises(NetworkError, match="The network gave NaN or infinite values for image 0"):
        seewhy.Explainer(network, layer="conv").heatmaps(PAPER_INPUT, [0, 1])


def two_of_each(structure):
    """Two inputs and two outputs, in lists or dicts: outputs are the paper network's, and its input's pixels."""
    one, two = keras.Input((2, 2, 1), name="one"), keras.Input((2, 2, 1), name="two")
    convolution, flatten, dense = paper_layers("softmax")
    answer = dense(flatten(convolution(layers.Add()([one, two]))))
    pixels = layers.Flatten(name="pixels")(layers.Subtract()([one, two]))
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
    whole = paper_sequential()
    network = keras.Model(whole.inputs, whole.outputs)
    for inputs in (PAPER_INPUT, [PAPER_INPUT]):
        heatmaps = seewhy.Explainer(network, layer="conv").heatmaps(inputs, [0, 1])
        np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)


def test_an_output_that_is_not_there():
    with pytest.raises(ModelError, match=r"The network has one output, and output=1 was asked for. Leave it out"):
        seewhy.Explainer(paper_sequential(), output=1).heatmaps(PAPER_INPUT)


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
    kernel = weight_array(network.layers[-1].kernel)[0, 0, :, 1]
    activations = capture(network, "c", resolve(lambda logits: logits[:, 0, 0, 1], int), inputs).activations
    expected = np.maximum(np.einsum("nuvk,k->nuv", activations, kernel / 16), 0)
    np.testing.assert_allclose(region.values[:, 0], expected, rtol=1e-4, atol=1e-7)
