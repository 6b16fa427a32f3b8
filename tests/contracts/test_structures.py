"""Inputs and outputs in lists and dicts: a structure with one array is that array, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.sample_models import weight_array

import seewhy
from seewhy.errors import InputError, ModelError, SeewhyWarning

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)

INPUTS = {
    "list": lambda x: [x],
    "tuple": lambda x: (x,),
    "dict": lambda x: {"image": x},
    "nested": lambda x: {"images": [x]},
}
"""One input in a structure."""

OUTPUTS = {
    "list": lambda y: [y],
    "dict": lambda y: {"classes": y},
    "nested": lambda y: {"heads": [[y]]},
}
"""One output in a structure."""


def model_of(given=lambda x: x, answered=lambda y: y):
    """Build one small classifier with fixed weights, whose input and output are in a structure."""
    image = keras.Input((8, 8, 3), name="image")
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")(image)
    logits = layers.Dense(3, name="dense")(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(given(image), answered(layers.Activation("softmax")(logits)))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape).astype(np.float32) for weight in model.weights])
    return model


@pytest.mark.parametrize(
    ("structure", "method"), [("list", "gradcam"), ("tuple", "saliency"), ("dict", "occlusion"), ("nested", "gradcam")]
)
def test_one_input_in_a_structure_is_explained_like_a_bare_one(structure, method):
    expected = seewhy.Explainer(model_of(), method).heatmaps(IMAGES, [0, 2])
    explainer = seewhy.Explainer(model_of(INPUTS[structure]), method)
    for inputs in (IMAGES, INPUTS[structure](IMAGES)):
        heatmaps = explainer.heatmaps(inputs, [0, 2])
        np.testing.assert_allclose(heatmaps.values, expected.values, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(heatmaps.scores, expected.scores, rtol=1e-5)


@pytest.mark.parametrize("method", ["ablationcam", "scorecam", "smoothgradcam++"])
def test_perturbation_methods_take_one_input_in_a_list(method):
    plain, in_list = (seewhy.Explainer(model_of(given), method) for given in (lambda x: x, INPUTS["list"]))
    np.testing.assert_allclose(
        in_list.heatmaps(IMAGES, [1]).values, plain.heatmaps(IMAGES, [1]).values, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_images_fused_and_augmented_by_a_model_with_one_input_in_a_structure(structure):
    image = (IMAGES[0] * 255).astype(np.uint8)
    options = {"layer": ["maps", "maps"], "augmentation": "flips"}
    plain, given = (
        seewhy.explain(
            seewhy.Classifier(model_of(given), preprocess=lambda x: x / 255), image, [0, 2], **options
        ).heatmaps
        for given in (lambda x: x, INPUTS[structure])
    )
    np.testing.assert_allclose(given, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("structure", INPUTS)
def test_the_size_and_layout_of_one_input_in_a_structure(structure):
    classifier = seewhy.Classifier(model_of(INPUTS[structure]))
    assert classifier.input_size == (8, 8)
    with pytest.warns(SeewhyWarning, match="was given pixels in 0..255, and its first layer is a convolution"):
        seewhy.explain(classifier, np.full((8, 8, 3), 200, np.uint8), 0)


@pytest.mark.parametrize("structure", OUTPUTS)
def test_one_output_in_a_structure_is_that_output(structure):
    model = model_of(answered=OUTPUTS[structure])
    expected = seewhy.Explainer(model_of()).heatmaps(IMAGES, "top-2")
    heatmaps = seewhy.Explainer(model).heatmaps(IMAGES, "top-2")
    np.testing.assert_allclose(heatmaps.values, expected.values, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(heatmaps.scores, expected.scores, rtol=1e-5)  # logits: the softmax is found too
    np.testing.assert_allclose(heatmaps.probabilities, expected.probabilities, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_of_a_model_with_one_input_in_a_list(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    model_of(INPUTS["list"]).save(path)
    loaded, image = seewhy.load(path), (IMAGES[0] * 90).astype(np.uint8)
    for method in ("gradcam", "occlusion"):
        expected = seewhy.explain(model_of(), image, [0], method).heatmaps
        np.testing.assert_allclose(seewhy.explain(loaded, image, [0], method).heatmaps, expected, rtol=1e-4, atol=1e-4)


def two_inputs(structure):
    """Build a model of two images, whose answers depend on the first by `one` and on the second by `two`."""
    images = [keras.Input((4, 4, 1), name=name) for name in ("first", "second")]
    parts = [layers.Conv2D(1, 1, use_bias=False, name=name)(x) for name, x in zip(("one", "two"), images, strict=True)]
    flat = layers.Concatenate()([layers.Flatten()(part) for part in parts])
    model = keras.Model(structure(*images), layers.Dense(2, use_bias=False, name="dense")(flat))
    kernel = np.random.default_rng(2).normal(size=(32, 2)).astype(np.float32)
    model.set_weights([np.full((1, 1, 1, 1), 2, np.float32), np.full((1, 1, 1, 1), 3, np.float32), kernel])
    return model


NESTED = {
    "dict of a list": lambda a, b: {"images": [a, b]},
    "list of lists": lambda a, b: [[a], [b]],
    "dict of dicts": lambda a, b: {"left": {"image": a}, "right": {"image": b}},
}


@pytest.mark.parametrize("structure", NESTED)
def test_nested_inputs_reach_the_layers_that_they_are_meant_for(structure):
    """With one channel and no ReLU, HiResCAM is the activation times the dense layer's weights, by hand."""
    first, second = np.random.default_rng(3).random((2, 2, 4, 4, 1)).astype(np.float32)
    model = two_inputs(NESTED[structure])
    kernel = weight_array(model.get_layer("dense").kernel)
    for layer, factor, images, weights in (("one", 2, first, kernel[:16]), ("two", 3, second, kernel[16:])):
        heatmaps = seewhy.Explainer(model, "hirescam", layer=layer, signed=True).heatmaps(
            NESTED[structure](first, second), [1]
        )
        by_hand = factor * images[..., 0] * weights[:, 1].reshape(4, 4)
        np.testing.assert_allclose(heatmaps.values[:, 0], by_hand, rtol=1e-5, atol=1e-6)


def test_inputs_of_a_list_may_be_given_by_their_names():
    first, second = np.random.default_rng(3).random((2, 1, 4, 4, 1)).astype(np.float32)
    explainer = seewhy.Explainer(two_inputs(lambda a, b: [a, b]), layer="one")
    expected = explainer.heatmaps([first, second], [0])
    heatmaps = explainer.heatmaps({"second": second, "first": first}, [0])
    np.testing.assert_array_equal(heatmaps.values, expected.values)
    np.testing.assert_array_equal(heatmaps.scores, expected.scores)


@pytest.mark.parametrize(
    ("structure", "inputs", "message"),
    [
        (
            lambda a, b: {"first": a, "second": b},
            [1, 2],
            "takes its inputs by name; given a list. Give a dict with the keys 'first', 'second'",
        ),
        (lambda a, b: [a, b], {"x": 1, "y": 2}, "no input 'x'; its inputs are 'first', 'second'"),
        (lambda a, b: [a, b], 1, "The model has 2 inputs; given 1"),
        (lambda a, b: {"images": [a, b]}, [1, 2], "Give a dict with the keys 'images'"),
        (lambda a, b: {"images": [a, b]}, {"images": [1]}, "The model has 2 inputs; given 1"),
        (lambda a, b: [[a], [b]], [[1, 2]], "in another structure, of the shapes"),
    ],
)
def test_inputs_in_another_structure_are_refused(structure, inputs, message):
    def given(value):
        if isinstance(value, dict):
            return {name: given(item) for name, item in value.items()}
        return [given(item) for item in value] if isinstance(value, list) else np.full((1, 4, 4, 1), value)

    with pytest.raises(InputError, match=message):
        seewhy.Explainer(two_inputs(structure), layer="one").heatmaps(given(inputs), [0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"picture": IMAGES}, "The model has no input 'picture'; its inputs are 'image'"),
        ({"image": IMAGES, "other": IMAGES}, "The model has no input 'other'"),
        ([IMAGES, IMAGES], r"shape \(2, 2, 8, 8, 3\); the model expects \(any, 8, 8, 3\)"),
    ],
)
def test_more_or_other_than_the_one_input(inputs, message):
    with pytest.raises(InputError, match=message):
        seewhy.Explainer(model_of(INPUTS["dict"])).heatmaps(inputs, [0])


def test_an_output_of_several_is_named_or_refused():
    model = model_of(answered=lambda y: {"main": [y], "both": [y, ops.sum(y, axis=-1)]})
    expected = seewhy.Explainer(model_of()).heatmaps(IMAGES, [1])
    np.testing.assert_allclose(
        seewhy.Explainer(model, output="main").heatmaps(IMAGES, [1]).values, expected.values, rtol=1e-5, atol=1e-7
    )
    with pytest.raises(ModelError, match="output='both' names a list of 2 outputs; expected one output"):
        seewhy.Explainer(model, output="both").heatmaps(IMAGES, [1])


class ByName(keras.Model):
    """Takes its image in a dict, which Keras does not know before a call."""

    def __init__(self):
        super().__init__()
        self.whole = model_of()

    def call(self, inputs):
        return {"classes": self.whole(inputs["image"])}


@pytest.mark.parametrize("method", ["occlusion", "saliency", "ablationcam"])
def test_one_named_input_of_a_subclassed_model(method):
    model = ByName()
    model({"image": IMAGES})
    heatmaps = seewhy.Explainer(model, method, layer="maps").heatmaps({"image": IMAGES}, [0, 2])
    expected = seewhy.Explainer(model_of(), method).heatmaps(IMAGES, [0, 2])
    np.testing.assert_allclose(heatmaps.values, expected.values, rtol=1e-4, atol=1e-6)
