"""Explainers are copied and pickled: for a spawned process, or in an object of a training framework that is copied."""

import copy
import pickle
import threading

import keras
import numpy as np
import pytest
from tests.contracts import in_keras

import seewhy

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),  # noqa: S301  # our own
}


@pytest.fixture
def model(framework):
    """A model of the framework's own layers, which can be pickled."""
    if framework is in_keras:
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input((10, 8, 3)),
                layers.Conv2D(4, 3, activation="relu", name="conv"),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )
    from torch import manual_seed, nn

    manual_seed(0)
    model = nn.Sequential()
    for name, layer in {"conv": nn.Conv2d(3, 4, 3), "relu": nn.ReLU(), "flat": nn.Flatten()}.items():
        model.add_module(name, layer)
    model.add_module("dense", nn.Sequential(nn.Linear(192, 3), nn.Softmax(-1)))
    return model


def inputs_for(framework):
    images = np.random.default_rng(0).standard_normal((2, 10, 8, 3)).astype(np.float32)
    return framework.given(images)


@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_explains_as_the_original(framework, model, name, is_used):
    inputs = inputs_for(framework)
    explainer = seewhy.Explainer(model, seewhy.methods.get("layercam"), "conv", signed=True)
    if is_used:  # there are plans and compiled functions
        explainer.heatmaps(inputs, "top-2")
    found = COPIES[name](explainer)
    assert (found.method.name, found.layer_choices, found.signed) == ("layercam", explainer.layer_choices, True)
    result, expected = found.heatmaps(inputs, "top-2"), explainer.heatmaps(inputs, "top-2")
    np.testing.assert_allclose(result.values, expected.values, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(result.scores, expected.scores)
    with pytest.raises(AttributeError, match="cannot be changed"):
        found.signed = False


@pytest.mark.parametrize("name", ["deepcopy", "pickle"])
def test_a_deep_copy_has_a_model_of_its_own(framework, model, name):
    inputs, explainer = inputs_for(framework), seewhy.Explainer(model, layer="conv")
    expected = explainer.heatmaps(inputs, 1).values
    found = COPIES[name](explainer)
    assert found.classifier.model is not model
    assert found.classifier.framework is not explainer.framework
    if framework is in_keras:
        model.set_weights([0 * weights for weights in model.get_weights()])
    else:
        model.requires_grad_(False)
        for parameter in model.parameters():
            parameter.zero_()
    np.testing.assert_allclose(found.heatmaps(inputs, 1).values, expected, rtol=1e-5, atol=1e-7)


def test_a_copy_shares_the_model_and_what_was_compiled(framework, model):
    explainer = seewhy.Explainer(model)
    found = copy.copy(explainer)
    assert found.framework is explainer.framework
    assert found.classifier is explainer.classifier
    found.heatmaps(inputs_for(framework), 0)
    assert not explainer._pipeline.plans
    assert len(found._pipeline.plans) == 1


@pytest.mark.parametrize("name", COPIES)
def test_an_explanation_with_its_classifier(model, name, framework):
    classifier = seewhy.Classifier(
        model, preprocess=seewhy.Preprocessing((10, 8)), class_names=["a", "b", "c"], name="model"
    )
    explanation = seewhy.explain(classifier, np.full((20, 16, 3), 80, np.uint8), "b", layer="conv")
    found = COPIES[name](explanation)
    np.testing.assert_array_equal(found.heatmaps, explanation.heatmaps)
    assert [target.name for target in found.targets] == [target.name for target in explanation.targets]
    del framework


def test_a_copy_while_another_thread_explains(framework, model):
    inputs, explainer, is_done = inputs_for(framework), seewhy.Explainer(model, layer="conv"), threading.Event()
    expected = explainer.heatmaps(inputs, 1).values

    def explain():
        while not is_done.is_set():
            explainer.heatmaps(inputs, 1)

    thread = threading.Thread(target=explain)
    thread.start()
    try:
        copies = [copy.copy(explainer) for _ in range(10)]
    finally:
        is_done.set()
        thread.join()
    np.testing.assert_allclose(copies[-1].heatmaps(inputs, 1).values, expected, rtol=1e-5, atol=1e-7)
