"""What is PyTorch's own about Keras models on it; what holds on every backend is in tests/contracts."""

import contextlib

import keras
import numpy as np
import pytest
import torch
from tests.contracts.capturing import capture
from tests.sample_models import (
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    block,
    nested,
    paper_layers,
    set_paper_weights,
)

import seewhy
from seewhy.errors import LayerError, ModelRunError
from seewhy.frameworks import framework_for
from seewhy.targets import Class, Objective


class EndsInTorch(keras.Model):
    """A subclassed model that calls PyTorch's own softmax."""

    def __init__(self):
        super().__init__()
        self.convolution, self.flatten, self.dense = paper_layers()

    def call(self, inputs):
        return torch.nn.functional.softmax(self.dense(self.flatten(self.convolution(inputs))), dim=-1)


def test_torch_s_own_softmax_is_bypassed_too():
    model = EndsInTorch()
    model(PAPER_INPUT)
    set_paper_weights(model.convolution, model.dense)
    captured = capture(model)
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)


@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad])
def test_the_gradient_mode_is_kept(context):
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    with context():
        before = torch.is_grad_enabled()
        seewhy.Explainer(nested(block("base"))).heatmaps(inputs, [0])
        assert torch.is_grad_enabled() == before


def test_parameters_keep_their_gradients_and_whether_they_want_any():
    base = block("base")
    model = nested(base)
    base.trainable = False
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    model(inputs, training=False).sum().backward()
    parameters = list(model.parameters())
    before = [(each.requires_grad, None if each.grad is None else each.grad.clone()) for each in parameters]
    assert {wants for wants, _ in before} == {True, False}
    with torch.inference_mode():
        heatmaps = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2])
    assert heatmaps.layer == "base/last_relu"
    assert heatmaps.values.max() > 0
    for parameter, (wants, gradient) in zip(parameters, before, strict=True):
        assert parameter.requires_grad == wants
        assert parameter.grad is None if gradient is None else torch.equal(parameter.grad, gradient)


class FailsInRun(keras.layers.Layer):
    """Raises in one of its calls, counted from 1: Keras on PyTorch runs its layers eagerly."""

    def __init__(self, run):
        super().__init__()
        self.run, self.runs = run, 0

    def call(self, inputs):
        self.runs += 1
        if self.runs == self.run:
            raise RuntimeError("the head broke")
        return inputs


@pytest.mark.parametrize("run", [1, 2, 3, 4])
def test_a_layer_that_fails_in_a_later_run_under_ablationcam_is_a_model_run_error(run):
    """The calls are recorded in run 1, the activations captured in run 2, and each image's head recorded after that."""
    fails = FailsInRun(run=0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"), fails])
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(3))
    fails.run, fails.runs = run, 0
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    with pytest.raises(ModelRunError, match=r"The model cannot run on an input of shape [\s\S]*the head broke"):
        seewhy.Explainer(model, "ablationcam", layer="conv").heatmaps(inputs, [0, 1])
    assert fails.runs == run


class Remat(keras.layers.Layer):
    """Runs two convolutions under `keras.remat`, or plainly."""

    def __init__(self, *, is_rematerialized):
        super().__init__(name="block")
        self.first = keras.layers.Conv2D(4, 3, activation="silu", name="first")
        self.second = keras.layers.Conv2D(5, 3, name="second")
        self.function = keras.remat(self.both) if is_rematerialized else self.both

    def build(self, shape):
        self.first.build(shape)
        self.second.build((None, None, None, 4))

    def both(self, x):
        return self.second(self.first(x))

    def call(self, x):
        return self.function(x)


def rematerialized(kind):
    scope = keras.RematScope("full") if kind == "scope" else contextlib.nullcontext()
    image = keras.Input((10, 10, 3))
    with scope:
        x = Remat(is_rematerialized=kind == "function")(image)
        x = keras.layers.Conv2D(6, 3, activation="silu", name="last")(x)
        x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    random = np.random.default_rng(0)
    model.set_weights([random.standard_normal(weights.shape) / 3 for weights in model.get_weights()])
    return model


@pytest.mark.parametrize("layer", ["block", "first", "second", "last"])
@pytest.mark.parametrize("kind", ["function", "scope"])
def test_a_rematerialized_part_has_the_maps_of_a_plain_one(kind, layer):
    images = np.random.default_rng(1).standard_normal((2, 10, 10, 3)).astype(np.float32)
    found, expected = (
        seewhy.Explainer(rematerialized(each), layer=layer).heatmaps(images, [0, 2]) for each in (kind, "plain")
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


class Slopes(keras.layers.Layer):
    """The gradients of a potential of the image."""

    def call(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad((x**3).sum(), x)[0]


@pytest.mark.parametrize("method", ["gradcam", "eigencam", "occlusion"])
def test_a_model_may_differentiate_while_it_runs(method):
    def network(first):
        keras.utils.set_random_seed(0)
        steps = [keras.layers.Conv2D(4, 3, activation="relu", name="conv"), keras.layers.GlobalAveragePooling2D()]
        return keras.Sequential([keras.Input((8, 8, 3)), first, *steps, keras.layers.Dense(3)])

    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    cubes = network(keras.layers.Lambda(lambda x: 3 * x**2))
    found, expected = (
        seewhy.Explainer(model, method, "conv", signed=True).heatmaps(images, 1) for model in (network(Slopes()), cubes)
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


class Mapped(keras.layers.Layer):
    """Runs a layer on each image under `vectorized_map`."""

    def __init__(self):
        super().__init__(name="mapped")
        self.inner = keras.layers.Dense(4, name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return keras.ops.vectorized_map(self.inner, x)


def test_a_layer_under_a_vectorized_map_is_refused_and_the_others_are_explained():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(3, 3, name="conv"), Mapped(), layers.GlobalAveragePooling2D()]
    )
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    with pytest.raises(LayerError, match=r"The layer 'mapped/inner' runs inside torch\.vmap"):
        seewhy.Explainer(model, layer="inner").heatmaps(images, 1)
    inner = model.get_layer("mapped").inner
    plain = keras.Sequential([keras.Input((8, 8, 3)), model.get_layer("conv"), inner, layers.GlobalAveragePooling2D()])
    for layer in ("conv", "auto"):
        found, expected = (seewhy.Explainer(each, layer=layer).heatmaps(images, 1) for each in (model, plain))
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6)


def test_weights_that_are_cast_are_no_keys_and_values():
    """Under a mixed policy a product with a weight is one with its copy in bfloat16."""
    layers = keras.layers
    dense = [layers.Dense(5, activation="softmax", dtype="mixed_bfloat16"), layers.Dense(4, dtype="mixed_bfloat16")]
    model = keras.Sequential([keras.Input((2, 3, 3)), layers.Reshape((6, 3)), *dense, layers.GlobalAveragePooling1D()])
    with pytest.raises(LayerError, match="computes no attention"):
        framework_for(model).capture_attention(np.ones((1, 2, 3, 3), np.float32), Objective(Class((1,))))
