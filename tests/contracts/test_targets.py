"""Targets on every Keras backend: scores and gradients by hand, and one compiled function for each kind."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.contracts import in_keras, reference
from tests.contracts.capturing import capture
from tests.sample_models import (
    PAPER_ACTIVATIONS,
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    paper,
    paper_layers,
    paper_sequential,
    set_paper_weights,
)

from seewhy import Classifier, Explainer
from seewhy.errors import ModelError, TargetError
from seewhy.targets import AllOutputs, Combined, Counterfactual, Difference, Embedding, Objective, Region, TopK, resolve

TWO = np.concatenate([PAPER_INPUT, PAPER_INPUT[:, ::-1]])


def test_a_difference_and_a_class_negated_on_paper():
    found = capture(paper_sequential(), target=Combined((Difference(0, 1), Counterfactual(1), TopK())))
    np.testing.assert_allclose(found.scores, [[PAPER_LOGITS[0] - PAPER_LOGITS[1], -PAPER_LOGITS[1], PAPER_LOGITS[0]]])
    np.testing.assert_allclose(found.gradients[0, 0], PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1], atol=1e-6)
    np.testing.assert_allclose(found.gradients[0, 1], -PAPER_GRADIENTS[1], atol=1e-6)
    np.testing.assert_array_equal(found.indices, [[-1, -1, 0]])


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_evidence_is_linear_in_the_target(method):
    explainer = Explainer(in_keras.plain(), method, layer="features", signed=True)
    inputs = reference.images(2)
    single = explainer.heatmaps(inputs, [3, 1]).values
    difference, against = np.moveaxis(explainer.heatmaps(inputs, [Difference(3, 1), Counterfactual(1)]).values, 1, 0)
    scale = np.abs(single).max()
    np.testing.assert_allclose(difference, single[:, 0] - single[:, 1], atol=1e-5 * scale)
    np.testing.assert_allclose(against, -single[:, 1], atol=1e-5 * scale)


def test_a_counterfactual_is_what_the_relu_of_grad_cam_removes():
    """For class 1 of the paper model all evidence is negative, -A^1: the counterfactual is A^1, the image itself."""
    explainer = Explainer(paper_sequential(), layer="conv")
    np.testing.assert_allclose(explainer.heatmaps(PAPER_INPUT, Counterfactual(1)).values[0, 0], PAPER_INPUT[0, ..., 0])
    assert not explainer.heatmaps(PAPER_INPUT, 1).has_evidence


def test_each_image_its_own_kind_of_target():
    explainer = Explainer(paper_sequential(), layer="conv", signed=True)
    selected = [[Difference(0, 1), "top-1"], [1, lambda logits: logits[:, 0] * 2]]
    together = explainer.heatmaps(TWO, selected)
    for row, target in enumerate(selected):
        alone = explainer.heatmaps(TWO[row : row + 1], target)
        np.testing.assert_allclose(together.values[row], alone.values[0], atol=1e-6)
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-6)
    np.testing.assert_array_equal(together.indices, [[-1, 0], [1, -1]])
    assert together.names == (("class 0 rather than class 1", "class 0"), ("class 1", "target 1"))
    with pytest.raises(TargetError, match="Targets were given for 2 images, but there are 1"):
        explainer.heatmaps(PAPER_INPUT, selected)


# A segmentation model


PER_CLASS = np.array([[2.0, -1, 0], [1, 1, 3]], np.float32)  # (channel, class)


def segmentation(activation="softmax"):
    """The paper model's maps, and a 1x1 convolution of them into three classes at every pixel."""
    image = keras.Input((2, 2, 1))
    convolution, _, dense = paper_layers()
    maps = convolution(image)
    head = layers.Conv2D(3, 1, activation=activation, use_bias=False, name="pixels")
    model = keras.Model(image, head(maps))
    dense.build((None, 8))
    set_paper_weights(convolution, dense)
    head.set_weights([PER_CLASS[None, None]])
    return model


MASK = np.array([[True, False], [True, True]])


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_region_of_a_segmentation(activation):
    """A softmax over the classes of each pixel is bypassed: y = sum over the mask of the logits A^k w_kc."""
    target = Combined((Region(MASK, 2), Region(~MASK, 0)))
    found = capture(segmentation(activation), layer="conv", target=target)
    logits = PAPER_ACTIVATIONS @ PER_CLASS
    np.testing.assert_allclose(found.scores, [[logits[MASK, 2].sum(), logits[0, 1, 0]]], rtol=1e-6)
    for row, (mask, class_index) in enumerate(((MASK, 2), (~MASK, 0))):
        np.testing.assert_allclose(found.gradients[0, row], mask[..., None] * PER_CLASS[:, class_index], atol=1e-6)
    assert found.probabilities is None


def test_masks_and_class_names_of_each_image():
    classifier = Classifier(segmentation(), class_names=["sky", "road", "tree"])
    heatmaps = Explainer(classifier, layer="conv").heatmaps(TWO, Region(np.stack([MASK, ~MASK]), "tree"))
    logits = np.stack([PAPER_ACTIVATIONS, PAPER_ACTIVATIONS[::-1]]) @ PER_CLASS
    np.testing.assert_allclose(heatmaps.scores, [[logits[0, MASK, 2].sum()], [logits[1, ~MASK, 2].sum()]], rtol=1e-6)
    assert heatmaps.names == (("tree in the region",), ("tree in the region",))
    with pytest.raises(
        TargetError, match=r"Region has shape \(3, 2\), but the model's output has shape \(N, 2, 2, 3\)"
    ):
        Explainer(classifier, layer="conv").heatmaps(TWO, Region(np.ones((3, 2), bool), 0))
    with pytest.raises(TargetError, match=r"There is no class 'three'\. Did you mean 'tree'"):
        Explainer(classifier, layer="conv").heatmaps(TWO, Region(MASK, "three"))
    with pytest.raises(TargetError, match="A Region needs a segmentation"):
        Explainer(paper_sequential(), layer="conv").heatmaps(PAPER_INPUT, Region(MASK, 0))


# An embedding, and outputs of several parts


def test_the_gradient_of_an_embedding():
    """By hand: of cos = u y / |y|, dcos/dy = (u - cos y / |y|) / |y|, and dy/dA are the dense layer's weights."""
    found = capture(paper(lambda x: x), target=Embedding([3, 4]))
    unit, length = np.array([0.6, 0.8]), np.linalg.norm(PAPER_LOGITS)
    cosine = unit @ PAPER_LOGITS / length
    np.testing.assert_allclose(found.scores, [[cosine]], rtol=1e-6)
    by_output = (unit - cosine * PAPER_LOGITS / length) / length
    np.testing.assert_allclose(found.gradients[0, 0], np.tensordot(by_output, PAPER_GRADIENTS, 1), atol=1e-6)


def detector(structure):
    """Class scores, and a "box" of each image: its four pixels."""
    image = keras.Input((2, 2, 1))
    convolution, flatten, dense = paper_layers("softmax")
    flat = flatten(convolution(image))
    corners = layers.Dense(4, use_bias=False, name="corners")
    outputs = {"scores": dense(flat), "box": corners(flat)}
    model = keras.Model(image, outputs if structure == "dict" else list(outputs.values()))
    set_paper_weights(convolution, dense)
    corners.set_weights([np.repeat(np.eye(4, dtype=np.float32), 2, axis=0) * np.tile([[1.0], [0.0]], (4, 1))])
    return model


@pytest.mark.parametrize("structure", ["dict", "list"])
def test_all_outputs_need_no_output_named(structure):
    model = detector(structure)
    key = {"dict": "box", "list": 1}[structure]
    found = Explainer(model, "hirescam", layer="conv").heatmaps(
        TWO, AllOutputs(lambda outputs: outputs[key][:, 2] * 10)
    )
    np.testing.assert_allclose(found.scores, [[30], [10]])  # the pixel at the bottom left
    np.testing.assert_allclose(found.values[:, 0], [[[0, 0], [30, 0]], [[0, 0], [10, 0]]], atol=1e-5)
    np.testing.assert_allclose(found.outputs[key], TWO.reshape(2, 4), atol=1e-6)  # everything that the model returned
    assert found.probabilities is None


def test_all_outputs_and_a_class_need_the_class_scores_named():
    model, selected = detector("dict"), [AllOutputs(lambda outputs: outputs["box"][:, 0]), 1]
    with pytest.raises(ModelError, match="The model has 2 outputs, and none was named"):
        Explainer(model, layer="conv").heatmaps(PAPER_INPUT, selected)
    found = Explainer(model, layer="conv", output="scores").heatmaps(PAPER_INPUT, selected)
    np.testing.assert_allclose(found.scores, [[1, PAPER_LOGITS[1]]], rtol=1e-6)
    np.testing.assert_array_equal(found.indices, [[-1, 1]])


# Compiled once


def _compiled(framework):
    """Return what a framework keeps for the next call: compiled functions, or on PyTorch the calls of the layers."""
    return vars(framework).get("_compiled", vars(framework).get("_calls"))


def compiled_counts(model, specs, inputs=TWO):
    """Return the number of compiled functions after each of these targets."""
    explainer = Explainer(model, layer="conv")
    counts = []
    for spec in specs:
        explainer.heatmaps(inputs, spec)
        counts.append(len(_compiled(explainer.framework)))
    return counts


def by_first(logits):
    return logits[:, 0]


@pytest.mark.parametrize(
    ("model", "specs"),
    [
        (paper_sequential, [Difference(0, 1), Difference(1, 0)]),
        (paper_sequential, [Counterfactual(0), Counterfactual(1)]),
        (paper_sequential, [Embedding([1, 2]), Embedding([[3, 1], [-1, 0]])]),
        (paper_sequential, [[[Difference(0, 1)], ["top-1"]], [["top-1"], [Difference(1, 0)]]]),
        (paper_sequential, [[0, by_first], [1, by_first]]),
        (segmentation, [Region(MASK, 0), Region(~MASK, 2), Region(np.stack([MASK, ~MASK]), 1)]),
    ],
)
def test_another_class_mask_or_reference_is_not_compiled_again(model, specs):
    counts = compiled_counts(model(), specs)
    assert counts == [counts[0]] * len(specs)


def test_the_model_is_not_run_again_by_python_for_another_class():
    """Where the backend traces, Python runs the model once; a target's arrays are arguments afterwards."""
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs the model in Python every time")
    runs = []

    class Counted(layers.Layer):
        def call(self, inputs):
            runs.append(1)
            return inputs * 1

    image = keras.Input((2, 2, 1))
    convolution, flatten, dense = paper_layers("softmax")
    model = keras.Model(image, dense(flatten(Counted()(convolution(image)))))
    set_paper_weights(convolution, dense)
    explainer = Explainer(model, layer="conv")
    scores = [explainer.heatmaps(PAPER_INPUT, Difference(0, 1)).scores.item()]
    before = len(runs)
    scores += [
        explainer.heatmaps(PAPER_INPUT, selected).scores.item() for selected in (Difference(1, 0), Difference(0, 1))
    ]
    assert len(runs) == before
    np.testing.assert_allclose(scores, [3, -3, 3], rtol=1e-5)


def test_objectives_with_the_same_kind_of_target_have_equal_keys():
    assert Objective(resolve(Difference(0, 1), int)).key == Objective(resolve(Difference(1, 0), int)).key
