"""The warning for channel weights that are rounding errors, for each way in which Grad-CAM's weights are computed."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.errors import SeewhyWarning

INPUTS = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)


class Normalised(nn.Module):
    """Subtracts the mean of each channel from what its only layer computes."""

    def __init__(self):
        super().__init__()
        self.features, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(4 * 16, 3)

    def forward(self, image):
        x = self.features(image)
        return self.dense((x - x.mean(dim=(2, 3), keepdim=True)).relu().flatten(1))


def heatmaps(method, targets, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Normalised().eval()
    explainer = seewhy.Explainer(model, seewhy.methods.get(method, **options), "features")
    explainer.heatmaps(INPUTS, targets)
    return explainer


@pytest.mark.parametrize(
    ("method", "targets"), [("gradcam", [0]), ("finercam", [0]), ("guided_gradcam", [0]), ("gradcam", [0, 1, 2] * 11)]
)
def test_weights_that_are_rounding_errors(method, targets):
    options = {"others": "pass"} if method == "guided_gradcam" else {}
    with pytest.warns(SeewhyWarning, match="The gradients at the layer 'features' cancel over the positions") as found:
        explainer = heatmaps(method, targets, **options)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeewhyWarning)
        explainer.heatmaps(INPUTS, targets)


@pytest.mark.parametrize(("method", "options"), [("finercam", {"base": "hirescam"}), ("smoothgradcam++", {})])
def test_methods_that_average_no_gradients(method, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeewhyWarning)
        heatmaps(method, [0], **options)
