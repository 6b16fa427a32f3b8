"""Targets, views and layers on native PyTorch models, whose channels come first."""

import numpy as np
import pytest
import torch
from tests.sample_models import PAPER_ACTIVATIONS, PAPER_GRADIENTS, PAPER_INPUT, PAPER_LOGITS
from torch import nn

from seewhy import Explainer
from seewhy.errors import ModelError, TargetError
from seewhy.frameworks import framework_for
from seewhy.targets import AllOutputs, Combined, Counterfactual, Difference, Embedding, Objective, Region, TopK

IMAGE = PAPER_INPUT.transpose(0, 3, 1, 2)  # (N, K, u, v)
MASK = np.array([[True, False], [True, True]])
PER_CLASS = np.array([[2.0, -1, 0], [1, 1, 3]], np.float32)  # (channel, class)


def convolution():
    conv = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        conv.bias.copy_(torch.tensor([0.0, 3.0]))
    return conv


class Segmentation(nn.Module):
    """The paper model's maps, and a 1x1 convolution of them into three classes at every pixel."""

    def __init__(self):
        super().__init__()
        self.conv = convolution()
        self.pixels = nn.Conv2d(2, 3, 1, bias=False)
        with torch.no_grad():
            self.pixels.weight.copy_(torch.tensor(PER_CLASS.T).reshape(3, 2, 1, 1))

    def forward(self, image):
        return torch.softmax(self.pixels(self.conv(image)), dim=1)


class Detector(nn.Module):
    """As torchvision's: for each image a dict of what was found in it."""

    def __init__(self):
        super().__init__()
        self.conv = convolution()
        self.dense = nn.Linear(8, 2, bias=False)
        with torch.no_grad():
            self.dense.weight.copy_(torch.tensor(PAPER_GRADIENTS.transpose(0, 3, 1, 2).reshape(2, 8)))

    def forward(self, image):
        logits = self.dense(self.conv(image).flatten(1))
        return [{"scores": each, "boxes": torch.zeros(2, 4), "label": "cat"} for each in logits]


def capture(model, target):
    framework = framework_for(model)
    return framework.capture(framework.check_inputs(IMAGE), framework.find_layer("conv"), Objective(target))


def test_a_region_of_a_segmentation_channels_first():
    target = Combined((Region(MASK, 2), Region(~MASK, 0)))
    found = capture(Segmentation(), target)
    logits = PAPER_ACTIVATIONS @ PER_CLASS
    np.testing.assert_allclose(found.scores, [[logits[MASK, 2].sum(), logits[0, 1, 0]]], rtol=1e-6)
    for row, (mask, class_index) in enumerate(((MASK, 2), (~MASK, 0))):
        np.testing.assert_allclose(found.gradients[0, row], mask[..., None] * PER_CLASS[:, class_index], atol=1e-6)
    with pytest.raises(
        TargetError, match=r"Region has shape \(3, 3\), but the model's output has shape \(N, 3, 2, 2\)"
    ):
        capture(Segmentation(), Region(np.ones((3, 3), bool), 0))


@pytest.mark.parametrize("augmentation", ["flips", ("flips", "scales")])
def test_views_of_images_whose_channels_come_first(augmentation):
    """The model looks at each pixel alone, so mirroring changes nothing; zooming only blurs two pixels' values."""
    plain = Explainer(Segmentation(), "hirescam", layer="conv").heatmaps(IMAGE, Region(MASK, 2))
    found = Explainer(Segmentation(), "hirescam", layer="conv", augmentation=augmentation).heatmaps(
        IMAGE, Region(MASK, 2)
    )
    np.testing.assert_allclose(plain.values[0, 0], MASK * 3 * np.maximum(PAPER_ACTIVATIONS[..., 1], 0), atol=1e-5)
    np.testing.assert_allclose(found.values, plain.values, atol=1e-5 if augmentation == "flips" else 1)


def test_a_box_of_a_detector_that_gives_lists_of_dicts():
    model = Detector()
    box = AllOutputs(lambda found: torch.stack([each["scores"][0] for each in found]))
    batch = np.concatenate([IMAGE, IMAGE[..., ::-1]])
    heatmaps = Explainer(model, layer="conv", signed=True).heatmaps(batch, box)
    np.testing.assert_allclose(heatmaps.scores[0], PAPER_LOGITS[:1])
    np.testing.assert_allclose(heatmaps.values[0, 0], PAPER_ACTIVATIONS[..., 0] - PAPER_ACTIVATIONS[..., 1], atol=1e-5)
    assert [each["label"] for each in heatmaps.outputs] == ["cat", "cat"]
    np.testing.assert_allclose(heatmaps.outputs[0]["scores"], PAPER_LOGITS)
    with pytest.raises(ModelError, match="The model has 2 outputs, and none was named"):
        Explainer(model, layer="conv").heatmaps(batch, [box, 0])


def test_all_kinds_in_one_batch():
    model = nn.Sequential()
    model.conv, model.flatten, model.dense = convolution(), nn.Flatten(), nn.Linear(8, 2, bias=False)
    with torch.no_grad():
        model.dense.weight.copy_(torch.tensor(PAPER_GRADIENTS.transpose(0, 3, 1, 2).reshape(2, 8)))
    cosine = -(3 * 7 + 4 * 10) / 5 / np.sqrt(149)
    selected = [[Difference(0, 1)], [Counterfactual(0)], [Embedding([3, 4])], [TopK()], [lambda logits: logits[:, 1]]]
    heatmaps = Explainer(model, layer="conv", signed=True).heatmaps(IMAGE.repeat(5, axis=0), selected)
    np.testing.assert_allclose(heatmaps.scores[:, 0], [3, 7, cosine, -7, -10], rtol=1e-5)
    np.testing.assert_array_equal(heatmaps.indices[:, 0], [-1, -1, -1, 0, -1])
    by_class = [np.einsum("k,uvk->uv", each.mean(axis=(0, 1)), PAPER_ACTIVATIONS) for each in PAPER_GRADIENTS]
    expected = [by_class[0] - by_class[1], -by_class[0], by_class[0], by_class[1]]
    np.testing.assert_allclose(heatmaps.values[[0, 1, 3, 4], 0], expected, atol=1e-5)
