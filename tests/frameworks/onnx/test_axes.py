"""Along which axes ONNX values have their channels and their images."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
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


def test_images_whose_size_may_be_a_number_of_channels():
    torch.manual_seed(0)
    images = np.random.default_rng(0).normal(size=(2, 2, 5, 4)).astype(np.float32)
    model = nn.Sequential(nn.Conv2d(2, 4, 2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    agree(model, "saliency", "auto", [1], images)


def test_a_mean_over_windows_that_are_padded():
    """It has as many positions as the layer, and is no mean of the whole."""
    torch.manual_seed(0)
    kernel, dense = torch.randn(4, 3, 1, 1), torch.randn(4, 40)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"]),
        helper.make_node("AveragePool", ["maps"], ["means"], kernel_shape=reference.SIZE, auto_pad="SAME_UPPER"),
        helper.make_node("ReduceMax", ["means"], ["largest"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["largest", "dense"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, *reference.SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(kernel.numpy(), "kernel"), numpy_helper.from_array(dense.numpy(), "dense")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    explainer = seewhy.Explainer(model, "hirescam", "maps", signed=True)
    together = explainer.heatmaps(IMAGES, list(range(40))).values
    np.testing.assert_allclose(together[:, [7]], explainer.heatmaps(IMAGES, [7]).values, rtol=1e-4, atol=1e-6)
