"""The layers that RefineCAM multiplies, on a native PyTorch model of three resolutions."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

import seewhy
from seewhy import methods
from seewhy.errors import LayerError, OptionError

INPUTS = np.random.default_rng(0).normal(size=(1, 2, 12, 12)).astype(np.float32)


class Staged(nn.Module):
    """12x12, 6x6 and 3x3 positions; the last layer of 6x6, "inner", is bypassed by a shortcut."""

    def __init__(self):
        super().__init__()
        self.early = nn.Conv2d(2, 4, 3, padding=1)
        self.joined = nn.Conv2d(4, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 4, 1)
        self.down, self.shortcut = nn.Conv2d(4, 5, 3, padding=1), nn.Conv2d(4, 5, 1)
        self.features = nn.ReLU()
        self.dense = nn.Linear(45, 3)

    def forward(self, x):
        joined = self.joined(avg_pool2d(self.early(x).relu(), 2)).relu()
        x = self.features(self.down(avg_pool2d(self.inner(joined).relu(), 2)) + self.shortcut(avg_pool2d(joined, 2)))
        return self.dense(x.flatten(1))


@pytest.fixture(scope="module")
def staged():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Staged().eval()


def refine(model, layer="auto", **options):
    return seewhy.Explainer(model, methods.get("refinecam", **options), layer).heatmaps(INPUTS, [0, 2])


def test_auto_takes_the_last_layer_of_each_resolution_that_nothing_bypasses(staged):
    explainer = seewhy.Explainer(staged, "refinecam")
    names = [explainer.heatmaps(INPUTS, targets).layer for targets in ([0], "top-1", [2])]
    assert names == ["features, joined, early"] * 3


def test_one_layer_starts_and_several_are_all(staged):
    started = refine(staged, "joined", base="hirescam")
    named = seewhy.Explainer(staged, "hirescam", ["joined", "early"], fuse="product").heatmaps(INPUTS, [0, 2])
    assert started.layer == "joined, early"
    assert started.values.any()
    np.testing.assert_allclose(started.values, named.values, atol=1e-6)
    assert refine(staged, ["features", "early"]).layer == "features, early"


def test_that_no_layer_of_a_finer_resolution_is_there_is_said(staged):
    with pytest.raises(LayerError, match=r"no layer of a finer one than 'early' was found .* Name two or more layers"):
        refine(staged, "early")


def test_it_has_one_fusion_and_no_sign(staged):
    assert seewhy.Explainer(staged, "refinecam", fuse="product").fuse == "product"
    assert seewhy.Explainer(staged, "gradcam++").fuse == "mean"
    with pytest.raises(OptionError, match=r"RefineCAM fuses .* by their product; given fuse='mean'. Leave it out"):
        seewhy.Explainer(staged, "refinecam", fuse="mean")
    with pytest.raises(OptionError, match="signed=True and several layers"):
        seewhy.Explainer(staged, "refinecam", signed=True)
