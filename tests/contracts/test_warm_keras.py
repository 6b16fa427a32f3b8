"""Second and later explanations of a Keras model: what is looked up, and what runs outside of the framework."""

import dataclasses
import functools
import math
from typing import get_args, get_type_hints

import keras
import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelRunError
from seewhy.frameworks.keras import numpy_methods
from seewhy.targets import Class, Objective
from seewhy.types import Capture, Tensor

IMAGES = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
CLASSES = [0, 2]
BACKEND = keras.backend.backend()

METHODS = [
    name
    for name in seewhy.methods.METHODS
    if name != "refinecam"  # which explains several layers, by the method of another
    and (method := seewhy.methods.get(name)).family in ("gradient", "activation")
    and not (method.needs_runner or method.is_auto or method.gradient_rule != "plain")
]


def model():
    """Return a network with a mean before its last layer."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, name="last"),
        ]
    )


def counted(framework):
    """Return a list that grows by one whenever the layers of the model are looked up."""
    layers, looks = framework._model_layers, []
    structure = layers._structure

    def count():
        looks.append(1)
        return structure()

    layers._structure = count
    return looks


def test_the_layers_are_looked_up_once_in_a_later_explanation():
    explainer = seewhy.Explainer(model(), "gradcam")
    for _ in range(2):
        explainer.heatmaps(IMAGES[:1], CLASSES)
    looks = counted(explainer.framework)
    explainer.heatmaps(IMAGES[:1], CLASSES)
    assert len(looks) == 1


def test_layers_are_looked_up_after_the_code_of_the_model_has_run():
    network = model()
    framework = seewhy.Explainer(network, "gradcam").framework

    with framework.explaining(IMAGES):
        before = framework.layer_paths()
        network.add(keras.layers.Activation("linear", name="later"))
        assert framework.layer_paths() == before  # nothing has run, and nobody changes the model meanwhile
        framework.predict(IMAGES)  # of this shape for the first time, so that the model's code runs
        assert "later" in framework.layer_paths()
    assert "later" not in before


CHANGES = {
    "weights": lambda network: network.layers[-1].set_weights([-each for each in network.layers[-1].get_weights()]),
    "activation": lambda network: setattr(network.layers[0], "activation", keras.activations.tanh),
    "types": lambda network: setattr(network.layers[-1], "dtype_policy", keras.DTypePolicy("mixed_bfloat16")),
    "frozen": lambda network: setattr(network, "trainable", False),
    "added layer": lambda network: network.add(keras.layers.Rescaling(-2.0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_two_explanations_is_seen(change):
    network = model()
    explainer = seewhy.Explainer(network, "gradcam", layer="conv")
    before = [explainer.heatmaps(IMAGES, CLASSES, batch_size=1).scores for _ in range(3)][-1]
    CHANGES[change](network)
    found = explainer.heatmaps(IMAGES, CLASSES)
    expected = seewhy.Explainer(keras.models.clone_model(network), "gradcam", layer="conv")
    expected.classifier.model.set_weights(network.get_weights())
    wanted = expected.heatmaps(IMAGES, CLASSES)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)
    assert np.allclose(found.scores, before) == (change == "frozen")


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs methods itself")
@pytest.mark.parametrize("method", METHODS)
def test_methods_compute_the_same_in_numpy(monkeypatch, method):
    explainer = seewhy.Explainer(model(), method, layer="conv")
    found = explainer.heatmaps(IMAGES, CLASSES).values
    monkeypatch.setattr(numpy_methods, "MAX_BYTES", -1)
    expected = explainer.heatmaps(IMAGES, CLASSES).values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    assert expected.max() > 0


def own_method(function):
    """Return a method of SeeWhy with another function, which counts as one of SeeWhy's."""
    function.__module__ = seewhy.methods.get("gradcam").function.__module__
    return dataclasses.replace(seewhy.methods.get("gradcam"), function=functools.partial(function))


def in_place(capture):
    """Change what the caller may not see changed: the tensors of TensorFlow and JAX are replaced, not written to."""
    gradients = capture.gradients
    gradients *= 2.0
    return capture.xp.mean(gradients, axis=-1)


def with_tensors(capture):
    """Use what only the framework's tensors have."""
    gradients = capture.require_gradients()
    doubled = gradients.numpy() * 2 if BACKEND == "tensorflow" else gradients.at[:].multiply(2.0)
    return capture.xp.mean(doubled, axis=-1)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs methods itself")
@pytest.mark.parametrize("function", [in_place, with_tensors])
def test_methods_of_users_get_the_tensors_of_the_framework(function):
    explainer = seewhy.Explainer(model(), "gradcam", layer="conv")
    framework, layer = explainer.framework, explainer.layer_choices[0]
    made = framework.capture(IMAGES, layer, Objective(Class((0, 1))))
    before = np.array(framework.to_numpy(made.gradients))
    method = dataclasses.replace(seewhy.methods.get("gradcam"), function=function)
    for each in (method, function, functools.partial(function)):
        found = framework.to_numpy(framework.apply(each, made))
        np.testing.assert_allclose(found, 2 * before.mean(axis=-1), rtol=1e-5, atol=1e-9)
        np.testing.assert_array_equal(framework.to_numpy(made.gradients), before)


def test_every_field_with_a_tensor_is_brought_into_numpy():
    tensors = {name for name, kind in get_type_hints(Capture).items() if Tensor in (kind, *get_args(kind))}
    assert tensors == set(numpy_methods.FIELDS)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs methods itself")
def test_only_small_captures_are_computed_in_numpy(monkeypatch):
    explainer = seewhy.Explainer(model(), "gradcam", layer="conv")
    framework, layer = explainer.framework, explainer.layer_choices[0]
    made = framework.capture(IMAGES, layer, Objective(Class((0, 1))))
    seen = []
    size = 4 * math.prod(framework.to_numpy(made.gradients).shape)
    for limit in (size, size - 1):
        monkeypatch.setattr(numpy_methods, "MAX_BYTES", limit)
        framework.apply(own_method(lambda given: seen.append(given) or given.activations), made)
    assert isinstance(seen[0].activations, np.ndarray)
    assert seen[1] is made


@pytest.mark.filterwarnings("error")
def test_arithmetic_that_is_not_finite_warns_of_nothing():
    """As in the frameworks; what it returns is checked later."""
    explainer = seewhy.Explainer(model(), "gradcam", layer="conv")
    framework = explainer.framework
    made = framework.capture(IMAGES, explainer.layer_choices[0], Objective(Class((0, 1))))
    found = framework.to_numpy(framework.apply(lambda given: given.activations * np.inf - np.inf, made))
    assert np.isnan(found).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error_and_no_warning(value):
    network = model()
    explainer = seewhy.Explainer(network, "gradcam++", layer="conv")
    network.layers[-1].set_weights([np.full((4, 5), value, np.float32), np.zeros(5, np.float32)])
    with pytest.raises(ModelRunError, match="NaN or infinite"):
        explainer.heatmaps(IMAGES, CLASSES)
