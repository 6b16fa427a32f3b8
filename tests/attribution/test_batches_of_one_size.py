"""Models that are written for batches of one size, which no framework knows: no other batch runs on them."""

import numpy as np
import pytest
import torch
from tests.contracts import attention_reference as reference
from tests.contracts.transformer_in_torch import Transformer
from torch import nn

import seewhy
from seewhy.errors import SeewhyWarning

COUNT = 6


class FirstPosition(nn.Module):
    """Reads one position of its last layer, so that the layer before it is the one to explain."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = (
            nn.Conv2d(3, 4, 3),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 4, 6, padding=2),
        )
        self.dense = nn.Linear(4, 3)

    def forward(self, image):
        x = self.second(self.first(image).relu()).relu().reshape(COUNT, 4, 6, 6)
        return self.dense(self.last(x)[:, :, 0, 0])


@pytest.mark.parametrize("layer", ["auto", "last"])
def test_layers_are_judged_by_the_whole_batch(layer):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = FirstPosition().eval()
    inputs = np.random.default_rng(0).normal(size=(COUNT, 3, 8, 8)).astype(np.float32)
    explainer = seewhy.Explainer(model, "gradcam", layer)
    if layer == "auto":
        found = explainer.heatmaps(inputs, [0])
        assert (found.layer, found.values.shape) == ("second", (COUNT, 1, 6, 6))
    else:
        with pytest.warns(SeewhyWarning, match="Only 1 of the image's 25 positions .* Name 'second' instead"):
            explainer.heatmaps(inputs, [0])


class Six(Transformer):
    def forward(self, image):
        return super().forward(image.reshape(COUNT, *image.shape[1:]))


def test_attention_of_a_whole_batch():
    images = reference.images(COUNT)
    inputs = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    found = seewhy.Explainer(Six("fused", "first").eval(), "legrad").heatmaps(inputs, [1])
    np.testing.assert_allclose(found.values[:, 0], reference.legrad(images, 1), atol=1e-6)
