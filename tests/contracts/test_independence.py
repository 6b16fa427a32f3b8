"""Images of a batch do not influence each other, in models that mix them too: then each is explained alone."""

import warnings

import numpy as np
import pytest
from tests.contracts.in_keras import MIXINGS
from tests.contracts.reference import close, expected, images

import seewhy
from seewhy.errors import LayerError, SeewhyWarning
from seewhy.targets import AllOutputs

INFLUENCE = "The images of a batch influence each other in this model"
CLASSES = [[0, 1], [3, 2], [1, 3]]


def each_alone(explainer, inputs, selected):
    """Explain every image as a batch of one."""
    return [
        explainer.heatmaps(inputs[row : row + 1], classes if isinstance(classes, list) else selected)
        for row, classes in enumerate(selected if isinstance(selected, list) else inputs)
    ]


@pytest.mark.parametrize("where", ["trunk", "head"])
@pytest.mark.parametrize("how", MIXINGS)
def test_images_that_influence_each_other_are_explained_alone(framework, how, where):
    inputs = framework.given(images() * np.array([1, 5, 0.2], np.float32)[:, None, None, None])
    explainer = seewhy.Explainer(framework.mixing(how, where), "hirescam", layer="features", signed=True)
    with pytest.warns(SeewhyWarning, match=INFLUENCE):
        found = explainer.heatmaps(inputs, CLASSES)
    again = explainer.heatmaps(inputs[::-1], CLASSES[::-1])  # it is said once
    for row, alone in enumerate(each_alone(explainer, inputs, CLASSES)):
        close(found.values[row], alone.values[0])
        close(found.scores[row], alone.scores[0])
        close(found.probabilities[row], alone.probabilities[0])
        np.testing.assert_array_equal(found.indices[row], CLASSES[row])
        close(again.values[2 - row], alone.values[0])


def test_the_values_of_each_image_alone_by_hand(framework):
    """The mean over a batch of one is the image itself, so every activation counts one and a half times."""
    inputs = images()
    explainer = seewhy.Explainer(framework.mixing("mean", "head"), layer="features")
    with pytest.warns(SeewhyWarning, match=INFLUENCE):
        found = explainer.heatmaps(framework.given(inputs), [2])
    close(found.values, 1.5 * expected(inputs, [2]).gradcam)


@pytest.mark.parametrize("method", ["hirescam", "saliency", "smoothgrad", "occlusion", "scorecam", "ablationcam"])
def test_perturbations_of_one_image_do_not_influence_each_other(framework, method):
    """One at a time, they cannot: the maps are the same however many may run at once."""
    options = {"smoothgrad": {"samples": 4}, "occlusion": {"window": 5, "stride": 4}}.get(method, {})
    model, inputs = framework.mixing("batch statistics", "head"), framework.given(images(2))
    explainer = seewhy.Explainer(model, seewhy.methods.get(method, **options), layer="features", signed=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_by_one = [explainer.heatmaps(image[None], [1], batch_size=1) for image in inputs]
    with pytest.warns(SeewhyWarning, match=INFLUENCE):
        found = explainer.heatmaps(inputs, [1], batch_size=8)
    for row, alone in enumerate(one_by_one):
        close(found.values[row], alone.values[0])


def test_channel_weights_that_are_rounding_errors_are_warned_of(framework):
    """Subtracting the mean of each channel over an image leaves nothing of the mean gradient; hirescam has none."""
    inputs = framework.given(images(1))
    explainer = seewhy.Explainer(framework.mixing("moments", "head"), layer="features", signed=True)
    with pytest.warns(SeewhyWarning, match="The gradients at the layer 'features' cancel over the positions"):
        found = explainer.heatmaps(inputs, [1])
    hirescam = seewhy.Explainer(framework.mixing("moments", "head"), "hirescam", "features", signed=True)
    assert np.abs(found.values).max() < 1e-4 * np.abs(hirescam.heatmaps(inputs, [1]).values).max()


def test_many_classes_and_augmented_images_of_such_a_model(framework):
    inputs, selected = framework.given(images(2)), [*range(4)] * 9
    for options in ({}, {"augmentation": "flips"}):
        explainer = seewhy.Explainer(framework.mixing("batch statistics", "head"), "hirescam", "features", **options)
        with pytest.warns(SeewhyWarning, match=INFLUENCE):
            found = explainer.heatmaps(inputs, selected)
        for row in range(2):
            close(found.values[row], explainer.heatmaps(inputs[row : row + 1], selected).values[0])


def test_a_target_function_that_mixes_images(framework):
    """Alone, an image is the first of the batch: half of its score is left."""
    inputs = framework.given(images())
    explainer = seewhy.Explainer(framework.plain(ending="none"), layer="features", signed=True)
    with pytest.warns(SeewhyWarning, match=INFLUENCE):
        found = explainer.heatmaps(inputs, lambda logits: logits[:, 1] - 0.5 * logits[:1, 1])
    plain = explainer.heatmaps(inputs, 1)
    close(found.values, 0.5 * plain.values)


def test_targets_of_every_kind_where_images_mix(framework):
    inputs = framework.given(images(2))
    explainer = seewhy.Explainer(framework.mixing("mean", "head"), layer="features", signed=True)
    kinds = [["top-1", "top-1"], [seewhy.targets.Difference(0, 1), 2], [[0], [lambda logits: logits[:, 3]]]]
    for selected in ("top-2", AllOutputs(lambda logits: logits[:, 2]), *kinds):
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            found = explainer.heatmaps(inputs, selected)
        rows = selected if isinstance(selected, list) and isinstance(selected[0], list) else [selected, selected]
        for row, own in enumerate(rows):
            close(found.values[row], explainer.heatmaps(inputs[row : row + 1], own).values[0])


@pytest.mark.parametrize("count", [3, 4])
def test_a_layer_whose_first_axis_is_not_that_of_the_images(framework, count):
    """Of 4 images and 4 tokens, only the images themselves tell which axis is which.

    In PyTorch and its exports, where this layout is common, such a layer is explained; see
    `tests/frameworks/torch/test_batch_axis.py`.
    """
    if framework.NAME in ("torch", "onnx"):
        pytest.skip("explains such a layer")
    message = "has 4 rows for 3 images" if count == 3 else "does not have its 4 images along its first axis"
    with pytest.raises(LayerError, match=f"The output of the layer 'norm' {message}"):
        seewhy.Explainer(framework.sequence_first(), layer="norm").heatmaps(framework.given(images(count)), [1])


def test_images_that_are_the_same_show_nothing_yet(framework):
    """Of copies of one image, each has the map of the image alone; the next batch shows the influence."""
    inputs = framework.given(images())
    explainer = seewhy.Explainer(framework.mixing("batch statistics", "head"), "hirescam", layer="features")
    copies = explainer.heatmaps(np.repeat(inputs[:1], 3, axis=0), [1])
    close(copies.values[1], explainer.heatmaps(inputs[:1], [1]).values[0])
    with pytest.warns(SeewhyWarning, match=INFLUENCE):
        explainer.heatmaps(inputs, [1])


def test_an_ordinary_batch_runs_again_only_the_first_time(framework, monkeypatch):
    inputs, explainer = framework.given(images()), seewhy.Explainer(framework.plain())
    capture, runs = explainer.framework.capture, []
    monkeypatch.setattr(
        type(explainer.framework),
        "capture",
        lambda _, batch, *rest: runs.append(len(batch)) or capture(batch, *rest),
    )
    # The first image runs again with each of four patches changed, which shows that the layer's axes are the image's.
    for count, expected_runs in ((1, [1] * 5), (3, [3, 3, 3]), (3, [3]), (2, [2])):
        runs.clear()
        explainer.heatmaps(inputs[:count], [1])
        assert runs == expected_runs
    for selected in range(2):  # a new function in each round, made at one place
        runs.clear()
        explainer.heatmaps(inputs, lambda logits, selected=selected: logits[:, selected])
    assert runs == [3]
