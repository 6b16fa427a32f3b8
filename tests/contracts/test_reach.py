""" "auto" takes a layer whose positions reach the score; of a named one whose positions do not, a warning is issued."""

import numpy as np
import pytest
from tests.contracts.reference import close, images

import seewhy
from seewhy.errors import SeewhyWarning

HIRESCAM = pytest.param("hirescam", marks=pytest.mark.slow(reason="takes the same path as gradcam"))
METHODS = ("gradcam", HIRESCAM, "eigencam")


def reached(explainer, inputs, layer):
    """Return how many positions of a layer have a gradient, by the gradients themselves."""
    framework = explainer.framework
    capture = framework.capture(
        framework.check_inputs(inputs),
        framework.find_layer(layer),
        seewhy.targets.Objective(seewhy.targets.Class((1,))),
    )
    return int((framework.to_numpy(capture.require_gradients())[0, 0] != 0).any(axis=-1).sum())


@pytest.mark.parametrize("method", METHODS)
def test_auto_takes_no_layer_of_which_the_class_token_alone_is_read(framework, method):
    model, inputs = seewhy.Classifier(framework.class_token()), framework.given(images(2))
    explainer = seewhy.Explainer(model, method, signed=True)
    assert reached(explainer, inputs, "norm") == 1
    found = explainer.heatmaps(inputs, [1])
    assert found.values.shape == (2, 1, 4, 3)
    assert reached(explainer, inputs, found.layer) == 4 * 3 + 1
    assert found.layer == framework.path_of_block(0)  # of two: later layers miss the patches, or what skips attention
    named = seewhy.Explainer(model, method, layer=found.layer, signed=True)
    close(explainer.heatmaps(inputs[:1], [1]).values, named.heatmaps(inputs[:1], [1]).values)


def test_a_named_layer_of_which_the_class_token_alone_is_read_is_warned_of(framework):
    inputs = framework.given(images(2))
    explainer = seewhy.Explainer(framework.class_token(), "gradcam", layer="norm")
    with pytest.warns(
        SeewhyWarning, match="Only 0 of the image's 12 positions of the layer 'norm' reach the score.* Name "
    ):
        found = explainer.heatmaps(inputs[:1], [1])
    assert found.layer == "norm"
    explainer.heatmaps(inputs, [1])  # it is said once


def test_a_named_layer_is_warned_of_with_many_classes_too(framework):
    explainer = seewhy.Explainer(framework.class_token(), "gradcam", layer="norm")
    with pytest.warns(SeewhyWarning, match="Only 0 of the image's 12 positions of the layer 'norm'"):
        explainer.heatmaps(framework.given(images(1)), [*range(4)] * 9)


def test_a_transformer_whose_tokens_are_averaged_keeps_its_last_layer(framework):
    explainer = seewhy.Explainer(framework.class_token(tokens="mean"), "gradcam")
    assert explainer.heatmaps(framework.given(images(2)), [1]).layer == "norm"


def test_a_blank_image_decides_as_any_other(framework):
    blank = framework.given(np.zeros((1, 12, 10, 3), np.float32))
    found = seewhy.Explainer(framework.class_token(), "gradcam").heatmaps(blank, [1])
    assert found.layer == framework.path_of_block(0)


def test_the_last_step_of_a_recurrent_network(framework):
    explainer = seewhy.Explainer(framework.recurrent(), "gradcam")
    inputs = framework.given(images(2))
    found = explainer.heatmaps(inputs, [1])
    assert found.layer == "columns"
    assert found.values.shape == (2, 1, 10, 1)  # each step is a row of the image


def test_few_positions_that_differ_from_image_to_image_are_evidence(framework):
    """The maximum of each of two maps: 2 positions of 80 at most, others in each image."""
    inputs = framework.given(images(1))
    explainer = seewhy.Explainer(framework.maximum_pooled(), "hirescam", signed=True)
    found = explainer.heatmaps(inputs, [1])
    assert found.layer == "features"
    assert 1 <= np.count_nonzero(found.values) <= 2
    seewhy.Explainer(framework.maximum_pooled(), layer="features").heatmaps(inputs, [1])


@pytest.mark.parametrize("selected", [0, lambda outputs: outputs[:, 0]])
def test_outputs_of_positions_are_no_fault_of_the_layer(framework, selected):
    """Each output reads one of 80 positions, and others read others."""
    found = seewhy.Explainer(framework.mapped(is_flat=True), "hirescam", layer="features", signed=True).heatmaps(
        framework.given(images(2)), selected
    )
    assert np.argwhere(found.values[0, 0]).tolist() == [[0, 0]]


def test_a_target_that_reads_few_positions_is_no_fault_of_the_layer(framework):
    """A region of the outputs is read at one position of the maps."""
    model, region = framework.mapped(), np.zeros((10, 8), bool)
    region[2, 3] = True
    found = seewhy.Explainer(model, "hirescam", layer="features", signed=True).heatmaps(
        framework.given(images(2)), seewhy.targets.Region(region, 1)
    )
    assert np.argwhere(found.values[0, 0]).tolist() == [[2, 3]]
