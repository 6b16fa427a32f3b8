"""Probabilities that a native module returns without a softmax that is found; and one input given by its name."""

import warnings

import numpy as np
import pytest
import torch

import seewhy
from seewhy.errors import ModelRunError, SeewhyWarning

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)


class Softmax(torch.autograd.Function):
    """A softmax with a derivative of its own, without a call of `torch.softmax`."""

    @staticmethod
    def forward(context, logits):
        exponentials = torch.exp(logits - logits.amax(dim=1, keepdim=True))
        probabilities = exponentials / exponentials.sum(dim=1, keepdim=True)
        context.save_for_backward(probabilities)
        return probabilities

    @staticmethod
    def backward(context, gradient):
        (probabilities,) = context.saved_tensors
        return probabilities * (gradient - (gradient * probabilities).sum(dim=1, keepdim=True))


class Net(torch.nn.Module):
    def __init__(self, finish):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.dense, self.finish = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(64, 3), finish

    def forward(self, image):
        return self.finish(self.dense(torch.relu(self.conv(image)).flatten(1)))


@pytest.mark.parametrize(
    "finish",
    [
        Softmax.apply,
        lambda logits: Softmax.apply(logits).log(),
        lambda logits: logits.exp() / logits.exp().sum(dim=1, keepdim=True),
    ],
)
def test_probabilities_that_are_explained_as_logits_are_warned_of(finish):
    explainer = seewhy.Explainer(Net(finish), layer="conv")
    with pytest.warns(SeewhyWarning, match="they sum to one for every image.*score='probability'"):
        explainer.heatmaps(IMAGES, [0])


@pytest.mark.parametrize("finish", [lambda x: x, torch.sigmoid, lambda x: torch.softmax(x, 1), torch.relu])
def test_other_outputs_are_not_warned_of(finish):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seewhy.Explainer(Net(finish), layer="conv").heatmaps(IMAGES, [0])


@pytest.mark.parametrize("method", ["gradcam", "occlusion", "saliency", "ablationcam"])
def test_one_input_by_its_name_is_explained_like_a_bare_one(method):
    explainer = seewhy.Explainer(Net(lambda x: x), method, layer="conv")
    expected = explainer.heatmaps(IMAGES, [0, 2])
    np.testing.assert_allclose(explainer.heatmaps({"image": IMAGES}, [0, 2]).values, expected.values, rtol=1e-5)
    np.testing.assert_allclose(explainer.heatmaps([IMAGES], [0, 2]).values, expected.values, rtol=1e-5)


def test_a_module_that_takes_one_image_only():
    net = Net(lambda x: x.reshape(1, 3))
    with pytest.raises(ModelRunError, match=r"batch of 16 perturbations of one image.*batch_size=1"):
        seewhy.Explainer(net, "occlusion").heatmaps(IMAGES[:1], [0])
    values = seewhy.Explainer(net, "occlusion").heatmaps(IMAGES[:1], [0], batch_size=1).values
    expected = seewhy.Explainer(Net(lambda x: x), "occlusion").heatmaps(IMAGES[:1], [0]).values
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
