"""Models that return one number for each image, and a single number for one image: they squeeze every axis of one."""

import keras
import numpy as np
import pytest
from tests.contracts import in_keras

import seewhy
from seewhy.errors import ModelError

IMAGES = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
KERNEL = np.random.default_rng(1).standard_normal((3, 3, 3, 4)).astype(np.float32) / 3
WEIGHTS = np.array([1.0, -2.0, 0.5, 3.0], np.float32)


class KerasNet(keras.Model):
    def __init__(self, *, squeezes):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.dense = keras.layers.Dense(1, use_bias=False)
        self.squeezes = squeezes
        self(IMAGES)
        self.conv.set_weights([KERNEL])
        self.dense.set_weights([WEIGHTS[:, None]])

    def call(self, x):
        x = self.dense(self.pool(self.conv(x)))
        return keras.ops.squeeze(x) if self.squeezes else x[:, 0]


def torch_net(*, squeezes):
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.Linear(4, 1, bias=False)
            with torch.no_grad():
                self.conv.weight.copy_(torch.tensor(KERNEL.transpose(3, 2, 0, 1)))
                self.dense.weight.copy_(torch.tensor(WEIGHTS[None]))

        def forward(self, x):
            x = self.dense(self.conv(x).mean((2, 3)))
            return x.squeeze() if squeezes else x[:, 0]

    return Net()


@pytest.fixture
def make(framework):
    return KerasNet if framework is in_keras else torch_net


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "saliency", "occlusion"])
@pytest.mark.parametrize("images", [1, 2])
def test_one_number_for_one_image_is_as_one_of_several(framework, make, method, images):
    model, inputs = make(squeezes=True), framework.given(IMAGES[:images])
    if framework is in_keras and keras.backend.backend() == "tensorflow":
        with pytest.raises(
            ModelError, match=r"unknown number of axes in TensorFlow's graph.*keras\.ops\.squeeze\(x, axis"
        ):
            seewhy.Explainer(model, method, "conv").heatmaps(inputs, lambda outputs: outputs)
        return
    found, expected = (
        seewhy.Explainer(each, method, "conv", signed=True).heatmaps(inputs, lambda outputs: outputs)
        for each in (model, make(squeezes=False))
    )
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES[:images], (3, 3), axis=(1, 2))
    maps = np.einsum("nuvcij,ijck->nuvk", windows, KERNEL)
    np.testing.assert_allclose(found.scores[:, 0], maps.mean((1, 2)) @ WEIGHTS, rtol=1e-4)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6)
    if method == "gradcam":
        np.testing.assert_allclose(found.values[:, 0], maps @ WEIGHTS / 36, rtol=1e-3, atol=1e-6)
