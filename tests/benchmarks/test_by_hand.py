"""Grad-CAM by hand, which is the floor only if it is right."""

import keras
import numpy as np
import pytest
import torch

import seewhy
from benchmarks import by_hand


@pytest.fixture
def module():
    torch.manual_seed(0)
    body = [torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(4, 5, 3)]
    head = [torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 4)]
    return torch.nn.Sequential(*body, *head).eval()


def test_it_gives_what_seewhy_gives_on_pytorch(module):
    batch = np.random.default_rng(0).normal(size=(1, 3, 15, 15)).astype(np.float32)
    wanted = seewhy.Explainer(module, "gradcam", "2").heatmaps(batch, [0, 1, 3]).values[0]
    explain = by_hand.of_torch(module, "2", torch.tensor(batch), lambda scores: scores, lambda output: output)
    assert wanted.max() > 0
    np.testing.assert_allclose(explain([0, 1, 3]), wanted, atol=1e-6)
    assert torch.is_grad_enabled()
    assert not module[2]._forward_hooks


def test_it_is_grad_cam_by_the_paper(module):
    """Equation 1 and 2 of Grad-CAM; the head is a mean of ReLU and a dense layer, differentiated by hand."""
    batch = torch.randn(1, 3, 15, 15, generator=torch.Generator().manual_seed(1))
    activations = module[:3](batch)[0].detach()
    weights = (module[6].weight[1][:, None, None] * (activations > 0)).mean((1, 2)) / activations[0].numel()
    wanted = (weights[:, None, None] * activations).sum(0).relu().detach()
    found = by_hand.of_torch(module, "2", batch, lambda scores: scores, lambda output: output)([1])[0]
    np.testing.assert_allclose(found, wanted, atol=1e-7)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the code by hand is for TensorFlow")
def test_it_gives_what_seewhy_gives_on_tensorflow():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((15, 15, 3))
    maps = keras.layers.Conv2D(5, 3, name="maps", activation="relu")(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(maps)))
    batch = np.random.default_rng(0).normal(size=(1, 15, 15, 3)).astype(np.float32)
    wanted = seewhy.Explainer(model, "gradcam", "maps").heatmaps(batch, [0, 1, 3]).values[0]
    found = by_hand.of_tensorflow(model, "maps", batch)([0, 1, 3])
    assert wanted.max() > 0
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_wrong_heatmap_is_no_floor():
    wanted = np.array([[[0.0, 1.0]]])
    by_hand.check(wanted + 1e-6, wanted)
    with pytest.raises(ValueError, match=r"differ by up to 0\.01 from SeeWhy's, up to 1\."):
        by_hand.check(wanted + 0.01, wanted)
