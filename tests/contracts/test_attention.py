"""Attention methods against a transformer in plain NumPy, however the model computes its attention."""

import numpy as np
import pytest
from tests.contracts import attention_reference as reference
from tests.contracts.reference import images as convolutional_images

import seewhy
from seewhy.errors import LayerError
from seewhy.targets import Class, Objective

TARGETS = (1, 3)
MEAN = pytest.param("mean", marks=pytest.mark.slow(reason="differs in the last step only"))
METHODS = ("legrad_rollout", "gradient_rollout", "legrad", "attention_rollout")


def close(values, expected, tolerance=1e-4):
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def explainers(model, tokens):
    """Return an explainer for each attention method; they share the model's framework."""
    classifier, grid = seewhy.Classifier(model), seewhy.TokenGrid(reference.GRID, prefix=int(tokens == "first"))
    return {name: seewhy.Explainer(classifier, name, tokens=grid) for name in METHODS}


@pytest.mark.parametrize("tokens", ["first", MEAN])
def test_heatmaps_are_those_of_the_papers(framework, tokens):
    images = reference.images()
    found = {
        name: explainer.heatmaps(framework.given(images), list(TARGETS))
        for name, explainer in explainers(framework.transformer("layer", tokens), tokens).items()
    }
    for number, target in enumerate(TARGETS):
        close(found["gradient_rollout"].values[:, number], reference.gradient_rollout(images, target, tokens))
        close(found["legrad"].values[:, number], reference.legrad(images, target, tokens))
        close(found["attention_rollout"].values[:, number], reference.attention_rollout(images, tokens))
        product = reference.legrad(images, target, tokens) * reference.attention_rollout(images, tokens)
        close(found["legrad_rollout"].values[:, number], product)
    assert found["legrad"].layer == "2 attention layers"
    close(found["legrad"].scores, reference.run(images, tokens)[0][:, TARGETS])


@pytest.mark.parametrize("kind", ["layer", "explicit", "fused"])
def test_maps_and_gradients_are_captured(framework, kind):
    images = reference.images()
    runner = seewhy.frameworks.framework_for(framework.transformer(kind))
    inputs = runner.check_inputs(framework.given(images))
    assert runner.attention_shapes(inputs) == ((2, 7, 7), (2, 7, 7))
    capture = runner.capture_attention(inputs, Objective(Class(TARGETS)))
    _, maps = reference.run(images)
    gradients = [reference.gradients(images, target) for target in TARGETS]
    for number, (found, gradient) in enumerate(zip(capture.maps, capture.require_gradients(), strict=True)):
        close(runner.to_numpy(found), maps[number])
        close(runner.to_numpy(gradient), np.stack([each[number] for each in gradients], axis=1))


@pytest.mark.parametrize("kind", ["layer", "explicit"])
def test_maps_of_branches_are_no_chain(framework, kind):
    """Their shapes are those of a chain, and their product would be wrong."""
    images = framework.given(reference.images())
    runner = seewhy.frameworks.framework_for(framework.transformer(kind))
    assert runner.attention_links(runner.check_inputs(images)) == (True,)
    branched = seewhy.Explainer(framework.transformer(kind, is_branched=True), "gradient_rollout")
    with pytest.raises(LayerError, match=r"layer 2 of 2 does not read what attention layer 1 computed: they lie side"):
        branched.heatmaps(images, [0])


def test_a_model_without_attention_is_refused(framework):
    explainer = seewhy.Explainer(framework.plain(), "gradient_rollout")
    with pytest.raises(
        LayerError, match=r"computes no attention: .* use a method that explains a layer, such as gradc"
    ):
        explainer.heatmaps(framework.given(convolutional_images(1)), [0])


def test_a_layer_cannot_be_named(framework):
    with pytest.raises(LayerError, match=r"explains all attention layers together; given layer='dense'\. Leave layer="):
        seewhy.Explainer(framework.plain(), "legrad", layer="dense")
