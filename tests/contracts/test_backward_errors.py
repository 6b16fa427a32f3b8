"""A model that fails in the backward pass is a ModelRunError, as one that fails in the forward pass."""

import keras
import numpy as np
import pytest
from tests.contracts import in_keras

import seewhy
from seewhy.errors import ModelRunError

IMAGES = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype(np.float32)

FAILURES = {
    "ValueError": lambda: ValueError("no derivative today"),
    "RuntimeError": lambda: RuntimeError("no derivative today"),
    "KeyError": lambda: KeyError("no derivative today"),
    "MemoryError": lambda: MemoryError("no derivative today"),
    "NotImplementedError": lambda: NotImplementedError("no derivative today"),
}


def torch_function(failure):
    import torch

    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return x * 1

        @staticmethod
        def backward(_ctx, _gradient):
            raise failure()

    return Failing.apply


def keras_function(failure):
    backend = keras.backend.backend()
    if backend == "torch":
        return torch_function(failure)
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.custom_gradient
        def in_tensorflow(x):
            def backward(_gradient):
                raise failure()

            return tf.identity(x), backward

        return in_tensorflow
    import jax

    def fail(_residuals, _gradient):
        raise failure()

    in_jax = jax.custom_vjp(lambda x: x * 1)
    in_jax.defvjp(lambda x: (x * 1, None), fail)
    return in_jax


@pytest.fixture
def make(framework):
    """A function that returns a model with a failing derivative, before or after its pooling."""

    def in_keras_(function, *, is_pooled):
        class Calling(keras.layers.Layer):
            def call(self, x):
                return function(x)

        layers = keras.layers
        steps = [layers.GlobalAveragePooling2D(), Calling()] if is_pooled else [Calling(), layers.Flatten()]
        return keras.Sequential([keras.Input((6, 6, 3)), layers.Conv2D(4, 3, name="conv"), *steps, layers.Dense(40)])

    def in_torch_(function, *, is_pooled):
        from torch import nn

        class Calling(nn.Module):
            def forward(self, x):
                return function(x)

        class Mean(nn.Module):
            def forward(self, x):
                return x.mean((2, 3))

        steps = [Mean(), Calling(), nn.Linear(4, 40)] if is_pooled else [Calling(), nn.Flatten(), nn.Linear(64, 40)]
        model = nn.Sequential(*steps)
        model.insert(0, nn.Conv2d(3, 4, 3))
        return model

    return in_keras_ if framework is in_keras else in_torch_


@pytest.fixture
def function(framework):
    return keras_function if framework is in_keras else torch_function


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_in_the_backward_pass(framework, make, function, name):
    model, inputs = make(function(FAILURES[name]), is_pooled=False), framework.given(IMAGES)
    layer = "conv" if framework is in_keras else "0"
    with pytest.raises(ModelRunError, match=r"The model cannot run on an input of shape .*no derivative today"):
        seewhy.Explainer(model, layer=layer).heatmaps(inputs, 0)
    assert seewhy.Explainer(model, "eigencam", layer).heatmaps(inputs, 0).values.shape == (2, 1, 4, 4)


@pytest.mark.parametrize("method", ["gradcam", "saliency", "layercam"])
def test_an_error_in_the_backward_pass_of_many_targets(framework, make, function, method):
    """Their closed form differentiates too."""
    model = make(function(FAILURES["ValueError"]), is_pooled=True)
    layer = "conv" if framework is in_keras else "0"
    with pytest.raises(ModelRunError, match="no derivative today"):
        seewhy.Explainer(model, method, layer).heatmaps(framework.given(IMAGES), "top-40")


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_many_targets_through_a_derivative_of_the_model_s_own(framework, make, method):
    """The closed form is not for such a model: a derivative that is only defined backward is not used forward."""
    inputs, layer = framework.given(IMAGES), "conv" if framework is in_keras else "0"
    model = make(doubled_backward(framework), is_pooled=True)
    found = seewhy.Explainer(model, method, layer, signed=True).heatmaps(inputs, "top-40")
    order = found.indices[0].tolist()
    for target in (order[0], order[39]):
        one = seewhy.Explainer(model, method, layer, signed=True).heatmaps(inputs[:1], target).values
        np.testing.assert_allclose(found.values[0, order.index(target)], one[0, 0], rtol=1e-4, atol=1e-6)


def doubled_backward(framework):
    """The identity, whose derivative is defined as 2."""
    if framework is not in_keras or keras.backend.backend() == "torch":
        import torch

        class Doubled(torch.autograd.Function):
            @staticmethod
            def forward(_ctx, x):
                return x * 1

            @staticmethod
            def backward(_ctx, gradient):
                return 2 * gradient

        return Doubled.apply
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.custom_gradient(lambda x: (tf.identity(x), lambda gradient: 2 * gradient))
    import jax

    in_jax = jax.custom_vjp(lambda x: x * 1)
    in_jax.defvjp(lambda x: (x * 1, None), lambda _, gradient: (2 * gradient,))
    return in_jax


def test_an_error_of_the_target_function_is_its_own(framework, make):
    def failing(_outputs):
        raise ValueError("the caller's own mistake")

    model = make(lambda x: x * 1, is_pooled=False)
    layer = "conv" if framework is in_keras else "0"
    with pytest.raises(ValueError, match="the caller's own mistake"):
        seewhy.Explainer(model, layer=layer).heatmaps(framework.given(IMAGES), failing)
