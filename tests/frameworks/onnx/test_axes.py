"""Along which axes ONNX values have their channels and their images."""

import numpy as np
import pytest
import torch
from tests.contracts import in_onnx, in_torch, reference
from tests.frameworks.onnx.test_framework import IMAGES, agree, close
from torch import nn

import seewhy

HEIGHT, WIDTH = reference.SIZE


class Layered(nn.Module):
    """Convolution, something that moves or mixes its channels, and the layer "features" after it."""

    def __init__(self, change):
        super().__init__()
        self.first, self.change, self.features = nn.Conv2d(3, 8, 3, padding=1), change, nn.ReLU()
        self.dense = nn.LazyLinear(4)

    def forward(self, image):
        return self.dense(self.features(self.change(self.first(image))).mean((2, 3)))


class Attention(nn.Module):
    """Attention between positions, with the channels before the positions."""

    def forward(self, maps):
        flat = maps.flatten(2)
        shares = torch.softmax(flat.transpose(1, 2) @ flat, -1)
        return (flat @ shares.transpose(1, 2)).view(maps.shape) + maps


class Shuffle(nn.Module):
    def forward(self, maps):
        images, channels, *space = maps.shape
        return maps.view(images, 2, channels // 2, *space).transpose(1, 2).reshape(images, channels, *space)


@pytest.mark.parametrize(
    "change",
    [nn.GroupNorm(4, 8), nn.LayerNorm([8, HEIGHT, WIDTH]), Attention(), Shuffle(), nn.PixelUnshuffle(2)],
    ids=lambda change: type(change).__name__,
)
def test_channels_after_groups_blocks_and_products(change):
    torch.manual_seed(0)
    model = Layered(change).eval()
    model(torch.from_numpy(IMAGES))
    agree(model, "hirescam", "features", [2, 0])


@pytest.mark.parametrize("images", [1, 2, 4])
def test_tokens_before_images_in_a_model_of_one_batch_size(images):
    """Also of as many images as there are tokens."""
    model, tokens = in_torch.sequence_first(), seewhy.TokenGrid((2, 2))
    exported = in_onnx.exported(model, (3, *reference.SIZE), images=images)
    for method in ("gradcam", "ablationcam"):
        found = seewhy.Explainer(exported, method, "norm", tokens=tokens, signed=True).heatmaps(IMAGES, [1, 3])
        close(found, seewhy.Explainer(model, method, "norm", tokens=tokens, signed=True).heatmaps(IMAGES, [1, 3]))
    assert np.abs(found.values).max() > 0
