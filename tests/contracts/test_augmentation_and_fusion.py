"""Several views of an image, and several layers of a model, in one map: on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.contracts import in_keras, reference
from tests.contracts.test_targets import MASK, segmentation
from tests.sample_models import PAPER_INPUT, paper_layers, paper_sequential, set_paper_weights

from seewhy import Explainer
from seewhy.attribution.augmentation import Augmentation
from seewhy.errors import InputError, LayerError, ModelRunError, OptionError
from seewhy.methods import Method
from seewhy.targets import Difference, Region


def halves():
    """Class 0 is the left pixels' sum, class 1 the right ones'; the maps are the image and 3 less the image."""
    model = paper_sequential()
    set_paper_weights(model.layers[0], model.layers[-1])
    left = np.array([[1, 0], [1, 0]], np.float32)
    by_class = np.stack([np.stack([each, 0 * each], axis=-1).ravel() for each in (left, 1 - left)], axis=1)
    model.layers[-1].set_weights([by_class, np.zeros(2, np.float32)])
    return model


def test_a_mirrored_view_is_explained_for_the_same_class_and_brought_back():
    """Mirrored, the best class is the other one; explained by its right half, the flipped image shows 1 and 3 there."""
    assert Explainer(halves(), layer="conv").heatmaps(PAPER_INPUT[:, :, ::-1]).indices == [[0]]
    found = Explainer(halves(), "hirescam", layer="conv", augmentation="flips").heatmaps(PAPER_INPUT)
    np.testing.assert_array_equal(found.indices, [[1]])
    np.testing.assert_allclose(found.scores, [[6]])  # the image's own
    np.testing.assert_allclose(found.values[0, 0], (np.array([[0, 2], [0, 4]]) + np.array([[1, 0], [3, 0]])) / 2)


def test_what_speaks_against_a_target_is_averaged_before_it_is_cut_off():
    signed = Explainer(paper_sequential(), layer="conv", signed=True)
    mirrored = signed.heatmaps(PAPER_INPUT[:, :, ::-1], [0, 1]).values[..., ::-1]
    expected = (signed.heatmaps(PAPER_INPUT, [0, 1]).values + mirrored) / 2
    found = Explainer(paper_sequential(), layer="conv", augmentation="flips").heatmaps(PAPER_INPUT, [0, 1])
    np.testing.assert_allclose(found.values, np.maximum(expected, 0), atol=1e-5)


def test_zoomed_views_one_by_one():
    model, inputs = in_keras.plain(), reference.images(2)
    selected = [[Difference(1, 0)], [2]]
    plain = Explainer(model, "hirescam", layer="features", signed=True)
    total, count = plain.heatmaps(inputs, selected).values.astype(float), np.ones((10, 8))
    for augmentation in (Augmentation(False, 0.9), Augmentation(False, 1.1)):
        total += augmentation.undo(plain.heatmaps(augmentation.apply(inputs), selected).values)
        count += augmentation.covered((10, 8))
    found = Explainer(model, "hirescam", layer="features", signed=True, augmentation="scales").heatmaps(
        inputs, selected
    )
    np.testing.assert_allclose(found.values, total / count, atol=1e-4 * np.abs(total).max())


def test_a_region_is_mirrored_with_its_image():
    """The model looks at each pixel alone, so every augmentation says the same once it is brought back."""
    plain = Explainer(segmentation(), "hirescam", layer="conv").heatmaps(PAPER_INPUT, Region(MASK, 2))
    found = Explainer(segmentation(), "hirescam", layer="conv", augmentation="flips").heatmaps(
        PAPER_INPUT, Region(MASK, 2)
    )
    assert plain.values.any()
    np.testing.assert_allclose(found.values, plain.values, atol=1e-5)


def signal_model():
    image = keras.Input((8, 2))
    return keras.Sequential([image, layers.Conv1D(3, 3, name="conv"), layers.GlobalAveragePooling1D(), layers.Dense(2)])


def test_inputs_that_are_no_images_have_no_views():
    with pytest.raises(InputError, match=r"augmentation= flips and zooms images.*given shape \(1, 8, 2\)"):
        Explainer(signal_model(), augmentation="flips").heatmaps(np.ones((1, 8, 2)))
    flat = keras.Sequential([keras.Input((4, 4, 3)), layers.Reshape((16, 3)), layers.Dense(2), layers.Flatten()])
    Explainer(flat, augmentation="flips").heatmaps(np.ones((1, 4, 4, 3)), 0)  # 16 positions are those of the image
    with pytest.raises(OptionError, match="Unknown augmentation 'flop'"):
        Explainer(flat, augmentation="flop")


# Layers


def by_hand(inputs, index):
    """Return the Grad-CAM map of the reference model's last layer."""
    return reference.expected(inputs, (index,)).gradcam


def test_two_layers_in_one_map():
    model, inputs = in_keras.plain(), reference.images(2)
    first = Explainer(model, layer="first").heatmaps(inputs, 1).values
    highest = first.max(axis=(2, 3), keepdims=True)
    features = by_hand(inputs, 1)
    features = Augmentation(False, 1.0)._placement((12, 10)).place(features)  # (12, 10) are the first layer's cells
    features /= features.max(axis=(2, 3), keepdims=True)
    found = Explainer(model, layer=["features", "first"]).heatmaps(inputs, 1)
    np.testing.assert_allclose(found.values, (features + first / highest) / 2, atol=1e-4)
    assert found.layer == "features, first"
    found = Explainer(model, layer=["first", "features"], fuse="product").heatmaps(inputs, 1)
    np.testing.assert_allclose(found.values, features * (first / highest), atol=1e-4)
    found = Explainer(model, layer=["auto", "first"], fuse="layercam", augmentation="flips").heatmaps(inputs, 1)
    assert found.layer == "features, first"
    assert 0.5 < found.values.max() <= np.tanh(2)


def test_a_list_of_one_layer_is_that_layer():
    one, same = (Explainer(paper_sequential(), layer=layer) for layer in ("conv", ["conv"]))
    np.testing.assert_array_equal(one.heatmaps(PAPER_INPUT, 0).values, same.heatmaps(PAPER_INPUT, 0).values)


def test_what_is_no_list_of_layers():
    model = paper_sequential()
    with pytest.raises(LayerError, match=r"layer=\[\] names no layer"):
        Explainer(model, layer=[])
    with pytest.raises(LayerError, match="There is no layer 'cnov' in the model"):
        Explainer(model, layer=["conv", "cnov"])
    with pytest.raises(OptionError, match="signed=True and several layers"):
        Explainer(model, layer=["conv", "conv"], signed=True)
    with pytest.raises(OptionError, match="Unknown fusion 'sum'"):
        Explainer(model, fuse="sum")
    at_input = Method(
        "pixels", "Pixels", "", "", "", lambda capture: capture.activations[:, None, ..., 0], "gradient", "input"
    )
    with pytest.raises(LayerError, match="Pixels explains the model's input and no layer; given 2"):
        Explainer(model, at_input, layer=["conv", "conv"])


def test_damaged_weights_are_said_of_several_layers_too():
    model = paper_sequential()
    model.layers[-1].set_weights([np.full((8, 2), np.nan, np.float32), np.zeros(2, np.float32)])
    with pytest.raises(ModelRunError, match="The model gave NaN or infinite values for image 0 of the batch"):
        Explainer(model, layer=["conv", "conv"], augmentation="flips").heatmaps(PAPER_INPUT, 0)


def test_several_inputs_have_no_views():
    one, two = keras.Input((2, 2, 1)), keras.Input((2, 2, 1))
    convolution, flatten, dense = paper_layers()
    model = keras.Model([one, two], dense(flatten(convolution(layers.add([one, two])))))
    with pytest.raises(InputError, match=r"augmentation= flips and zooms images.*given 2 inputs"):
        Explainer(model, augmentation="scales").heatmaps([PAPER_INPUT, PAPER_INPUT], 0)
