"""Scoring many batches of perturbations on native PyTorch: what the first batch shows holds for the others."""

import numpy as np
import pytest
import torch

from seewhy.frameworks import LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.frameworks.torch.framework import Torch
from seewhy.targets import AllOutputs, Class, Objective

SIDE = 6


class Ends(torch.nn.Module):
    """A small model with a batch normalisation, in training mode, that ends in a function of its own."""

    def __init__(self, end):
        super().__init__()
        torch.manual_seed(4)
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
        self.dense = torch.nn.Linear(4 * 16, 3)
        self.end = end

    def forward(self, images):
        return self.end(self.dense(self.features(images).flatten(1)))


ENDS = {
    "logits": lambda logits: logits,
    "softmax": lambda logits: logits.softmax(dim=1),
    "sigmoid": torch.sigmoid,
    "shifted": lambda logits: 2 * logits - 1,
}


def batches():
    random = np.random.default_rng(0)
    return [random.normal(size=(count, 3, SIDE, SIDE)).astype(np.float32) for count in (4, 4, 2)]


@pytest.mark.parametrize(
    ("end", "score"), [*((end, "logit") for end in ENDS), ("logits", "probability"), ("softmax", "probability")]
)
def test_every_batch_gets_the_scores_of_a_capture(end, score):
    model, objective = Ends(ENDS[end]), Objective(Class(((2, 0),)), score)
    framework = Torch(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scorer = framework.scorer(objective)
    for batch in batches():
        expected = framework.capture(batch, LayerChoice(INPUT), objective, "none").scores
        found = scorer(batch)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert not found.requires_grad
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("activation", [torch.nn.Softmax(dim=1), torch.nn.LogSoftmax(dim=1), torch.nn.Sigmoid()])
def test_a_final_activation_of_some_batches_is_bypassed(activation):
    """Perturbations may be unlike the image, and a model may decide by its input how it ends."""
    model = Ends(lambda logits: activation(logits) if len(logits) == 2 else logits)
    framework, objective = Torch(model), Objective(Class(((1,),)))
    scorer = framework.scorer(objective)
    for batch in batches():
        expected = framework.capture(batch, LayerChoice(INPUT), objective, "none").scores
        np.testing.assert_allclose(scorer(batch), expected, atol=1e-6)


def test_a_function_of_all_outputs_is_scored_too():
    model = Ends(lambda logits: (logits, logits.exp()))
    scorer = Torch(model).scorer(Objective(AllOutputs(lambda outputs: outputs[1][:, 0])))
    for batch in batches():
        with torch.no_grad():
            expected = model.eval()(torch.tensor(batch))[1][:, :1]
        np.testing.assert_allclose(scorer(batch), expected, rtol=1e-5)


def test_a_final_activation_that_is_added_between_two_images_is_bypassed():
    """What is known holds for one scorer, which scores the perturbations of one image."""
    model, objective = Ends(ENDS["logits"]), Objective(Class(((1,),)))
    framework, batch = Torch(model), batches()[0]
    first = framework.scorer(objective)
    expected = [first(batch), first(batch)]
    model.end = ENDS["softmax"]
    np.testing.assert_allclose(framework.scorer(objective)(batch), expected[0], atol=1e-6)
    np.testing.assert_array_equal(*expected)
