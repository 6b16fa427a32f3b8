"""Candidates of detectors that leave non-maximum suppression to their caller."""

import numpy as np
import torch

import seewhy
from seewhy.frameworks.torch.detectors.suppression import surest_apart
from seewhy.frameworks.torch.detectors.yolo import has_objectness
from seewhy.frameworks.torch.ultralytics import declared_input, declared_labels, inner_model


def test_of_overlapping_candidates_of_a_class_the_surest_is_kept():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 8], [20, 20, 30, 30], [0, 0, 10, 4]])
    labels, scores = torch.tensor([1, 1, 0, 1, 1]), torch.tensor([0.6, 0.9, 0.5, 0.7, 0.8])
    assert surest_apart(boxes, labels, scores, 0.7).tolist() == [1, 4, 3, 2]  # 0 overlaps 1 by 0.8, and 4 by 0.4
    assert surest_apart(boxes, labels, scores, 0.85).tolist() == [1, 4, 3, 0, 2]


class WithObjectness(torch.nn.Module):
    """Returns what YOLOv5 does: boxes, objectness and two classes for each cell, and the logits of a level."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features, self.head = torch.nn.Conv2d(3, 4, 4, stride=4), torch.nn.Conv2d(4, 7, 1)

    def forward(self, images):
        raw = self.head(torch.relu(self.features(images)))[:, None].permute(0, 1, 3, 4, 2)
        decoded = raw.sigmoid().flatten(1, -2)
        rows, columns = raw.shape[2:4]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres = torch.stack([x, y], dim=-1).flatten(0, 1) * 4 + 2.0
        sides = torch.full_like(centres, 4.0)
        boxes = torch.cat([centres, sides], dim=1).expand(len(images), -1, -1)
        return torch.cat([boxes, decoded[..., 4:]], dim=-1), [raw]


def test_objectness_and_class_are_explained_together():
    model, image = WithObjectness().eval(), np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    decoded, (raw,) = model(torch.tensor(image))
    assert has_objectness((decoded, [raw]))
    assert not has_objectness((decoded, [raw[..., 1:]]))
    heatmaps = seewhy.Explainer(model, layer="features").heatmaps(image, "top-2")
    scores = decoded[0, :, 4:5] * decoded[0, :, 5:]
    cell, class_ = divmod(int(scores.argmax()), 2)
    assert heatmaps.indices[0, 0] == class_
    np.testing.assert_allclose(heatmaps.detection_scores[0, 0], scores.max().item(), rtol=1e-5)
    left, top = cell % 4 / 4, cell // 4 / 4
    np.testing.assert_allclose(heatmaps.boxes[0, 0], [left, top, left + 0.25, top + 0.25], atol=1e-6)
    logits = raw[0, 0].flatten(0, 1)[cell]
    np.testing.assert_allclose(heatmaps.scores[0, 0], (logits[4] + logits[5 + class_]).item(), rtol=1e-5)
    features = torch.relu(model.features(torch.tensor(image)))[0].flatten(1)[:, cell].detach().numpy()
    weights = model.head.weight[:, :, 0, 0].detach().numpy()
    expected = max(float(features @ (weights[4] + weights[5 + class_])), 0)
    np.testing.assert_allclose(heatmaps.values[0, 0].ravel()[cell], expected, rtol=1e-4, atol=1e-7)


def test_a_module_that_is_not_of_ultralytics_declares_nothing():
    model = WithObjectness()
    assert inner_model(model) is None
    assert declared_input(model) is None
    assert declared_labels(model) is None
