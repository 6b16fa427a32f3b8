"""What is PyTorch's own about Keras models on it; what holds on every backend is in tests/contracts."""

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
from seewhy.errors import ModelRunError


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
