"""Channels first or last in native PyTorch: a model has the maps of its twin in the other layout."""

import gc
import weakref

import numpy as np
import pytest
import torch
from tests.contracts.in_torch import Call
from torch import nn
from torch.nn import functional

import seewhy
from seewhy.frameworks import framework_for
from seewhy.frameworks.torch.layouts import TorchLayouts
from seewhy.targets import Class, Objective

SIZE = (4, 6)
PLANES = 6  # as many as the maps are wide: which axis is meant cannot be told from the sizes
CLASSES = [0, 1, 2]
IMAGES = np.random.default_rng(0).normal(size=(2, 3, *SIZE)).astype(np.float32)


class LayerNorm2d(nn.LayerNorm):
    """Normalises maps that are channels first, as timm's and torchvision's do."""

    def forward(self, x):
        x = functional.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Block(nn.Module):
    """Ends in functions, so that its output is no module's; modules without a layout of their own come between."""

    def __init__(self, norm, linear):
        super().__init__()
        self.norm, self.act, self.drop, self.linear = norm, nn.GELU(), nn.Dropout(0.5), linear

    def forward(self, x):
        return torch.tanh(x + self.drop(self.act(self.linear(self.norm(x)))) * 2)


class Model(nn.Module):
    """A convolution, two blocks, the mean over space, and a linear layer.

    Args:
        after_stem: Lays the maps out for the blocks.
        block: Builds a block for that layout.
        axes: Those of space there.
    """

    def __init__(self, after_stem, block, axes):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, PLANES, 3, padding=1)
        self.after_stem, self.axes = after_stem, axes
        self.blocks = nn.Sequential(block(), block())
        self.head = nn.Linear(PLANES, 3)
        random = np.random.default_rng(1)
        with torch.no_grad():  # the same in every layout: a 1 x 1 kernel is a matrix
            for each in self.parameters():
                each.copy_(torch.tensor(random.normal(size=each.shape)))

    def forward(self, image):
        return self.head(self.blocks(self.after_stem(self.stem(image))).mean(self.axes))


def channels_first():
    return Model(nn.Identity(), lambda: Block(LayerNorm2d(PLANES), nn.Conv2d(PLANES, PLANES, 1)), (2, 3))


def channels_last():
    turn = Call(lambda x: x.permute(0, 2, 3, 1))
    return Model(turn, lambda: Block(nn.LayerNorm(PLANES), nn.Linear(PLANES, PLANES)), (1, 2))


def tokens():
    turn = Call(lambda x: x.flatten(2).transpose(1, 2))
    return Model(turn, lambda: Block(nn.LayerNorm(PLANES), nn.Linear(PLANES, PLANES)), 1)


LAYERS = ["stem", "after_stem", "blocks.0.norm", "blocks.0.linear", "blocks.1.act", "blocks.0", "blocks", "auto"]


@pytest.mark.filterwarnings("ignore:.*bypasses the layer")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_model_has_the_maps_of_its_twins_of_other_layouts(layer):
    wanted = seewhy.Explainer(channels_first(), "hirescam", layer).heatmaps(IMAGES, CLASSES)
    for twin in (channels_last, tokens):
        found = seewhy.Explainer(twin(), "hirescam", layer).heatmaps(IMAGES, CLASSES)
        assert found.layer == wanted.layer
        assert found.values.shape == (2, 3, *SIZE)
        np.testing.assert_allclose(
            found.values.reshape(wanted.values.shape), wanted.values, atol=1e-4 * wanted.values.max()
        )


def test_a_map_of_channels_last_is_what_it_is_by_hand():
    """The score is the mean over space of the last output, times the head's weights, and so is each map."""
    model = channels_last().eval()
    found = seewhy.Explainer(model, "hirescam", "blocks.1").heatmaps(IMAGES, CLASSES)
    with torch.no_grad():
        activations = model.blocks(model.stem(torch.tensor(IMAGES)).permute(0, 2, 3, 1)).numpy()
    weights = model.head.weight.detach().numpy() / (SIZE[0] * SIZE[1])
    expected = np.maximum(np.einsum("nuvk,ck->ncuv", activations, weights), 0)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    ("build", "layer"), [(channels_last, "blocks.0"), (channels_last, "stem"), (tokens, "blocks.0")]
)
def test_a_head_takes_maps_channels_last_whatever_the_layer_s_layout(build, layer):
    """The perturbation is half of the map; by hand, the head runs on that."""
    model = build().eval()
    framework = framework_for(model)
    selected = (IMAGES[:1], framework.find_layer(layer), Objective(Class((0, 1, 2)), "logit"))
    maps = 0.5 * framework.capture(*selected, "none").activations.numpy()
    with torch.no_grad():
        following = model.blocks if layer == "stem" else model.blocks[1]
        expected = model.head(following(torch.tensor(maps)).mean(model.axes)).numpy()
    np.testing.assert_allclose(framework.head(*selected)(maps), expected, rtol=1e-4)


def test_the_layers_are_listed_as_those_of_the_twin():
    first, last = (
        [
            (call.path, call.shape, call.is_candidate, call.is_pass_through)
            for call in framework_for(build()).calls(IMAGES)
        ]
        for build in (channels_first, channels_last)
    )
    assert first[2:] == last[2:]  # after the module that permutes the maps, which the first model passes through
    assert [call.channels_first for call in framework_for(channels_last()).calls(IMAGES)][:4] == [
        True,
        False,
        False,
        False,
    ]


MADE = {
    "as they went in": (lambda x: x, 1),
    "a convolution after all": (lambda x: functional.conv2d(x.permute(0, 2, 3, 1), torch.ones(2, 4, 1, 1)), 1),
    "permute": (lambda x: x.permute(0, 2, 3, 1), 3),
    "permute there and back": (lambda x: torch.permute(x.permute(0, 2, 3, 1), dims=(0, 3, 1, 2)), 1),
    "by keyword": (lambda x: torch.permute(input=x, dims=(0, 2, 3, 1)), 3),
    "movedim": (lambda x: torch.movedim(x, 1, -1), 3),
    "tokens": (lambda x: x.flatten(2).transpose(1, 2), 2),
    "tokens by mT": (lambda x: x.flatten(2).mT, 2),
    "tokens in place": (lambda x: x.flatten(2).clone().transpose_(1, 2), 2),
    "maps of tokens": (lambda x: x.flatten(2).transpose(1, 2).transpose(1, 2).reshape(2, 5, 4, 6), 1),
    "maps of tokens, channels last": (lambda x: x.flatten(2).transpose(1, 2).unflatten(1, (4, 6)), 3),
    "one token fewer": (lambda x: x.flatten(2).transpose(1, 2)[:, 1:], 2),
    "one token more": (lambda x: torch.cat([torch.ones(2, 1, 5), x.flatten(2).mT], dim=1), 2),
    "windows and back": (
        lambda x: (
            x.permute(0, 2, 3, 1)
            .reshape(2, 2, 2, 3, 2, 5)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(12, 4, 5)
            .view(2, 2, 3, 2, 2, 5)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(2, 4, 6, 5)
        ),
        3,
    ),
    "a scale before it": (lambda x: torch.ones(5, 1, 1) * x, 1),
    "chunks": (lambda x: torch.chunk(x.movedim(1, -1), 2, dim=-1)[1], 3),
    "in place": (lambda x: x.movedim(1, -1).clone().add_(1).relu_(), 3),
    "normalised over two axes": (lambda x: functional.layer_norm(x, (4, 6)), 1),
    "normalised over one": (lambda x: functional.layer_norm(x, (6,)), 3),
    "linear": (lambda x: functional.linear(x, torch.ones(2, 6)), 3),
    "pooled": (lambda x: functional.max_pool2d(x, 2), 1),
}
"""Of maps (2, 5, 4, 6), channels first: what functions make, and the axis that the channels are then."""


@pytest.mark.parametrize("name", MADE)
def test_the_axis_is_followed_through_functions(name):
    make, axis = MADE[name]
    layouts, maps = TorchLayouts(), torch.ones(2, 5, 4, 6)
    layouts.set_layout(maps, channels_first=True)
    with layouts:
        made = make(maps)
    assert layouts.is_channels_first(made) == (axis == 1)
    assert axis in (1, made.ndim - 1)


@pytest.mark.parametrize("make", [lambda x: x.reshape(2, 10, 12), lambda x: x.sum(1), lambda _: torch.ones(2, 5, 4, 6)])
def test_an_unknown_layout_is_none(make):
    layouts, maps = TorchLayouts(), torch.ones(2, 5, 4, 6)
    layouts.set_layout(maps, channels_first=True)
    with layouts:
        made = make(maps)
    assert layouts.is_channels_first(made) is None


class Hidden(torch.autograd.Function):
    """Computes where no function is recorded."""

    @staticmethod
    def forward(_, x):
        return 2 * x

    @staticmethod
    def backward(_, gradient):
        return 2 * gradient


def test_an_output_of_unknown_layout_has_that_of_the_last_call():
    model = nn.Sequential(
        nn.Conv2d(3, 5, 1), Call(lambda x: x.permute(0, 2, 3, 1)), Call(Hidden.apply), nn.ReLU(), nn.Flatten()
    )
    calls = framework_for(model).calls(IMAGES)
    assert [call.shape for call in calls] == [(*SIZE, 5)] * 4 + [(120,)]
    assert [call.channels_first for call in calls] == [True, False, False, False, False]


def test_the_model_s_input_is_channels_first():
    taken = seewhy.Explainer(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(72, 2)), layer="0").heatmaps(IMAGES)
    assert taken.values.shape == (2, 1, *SIZE)


def test_tensors_are_not_kept():
    layouts, maps = TorchLayouts(), torch.ones(1, 2, 3, 4)
    layouts.set_layout(maps, channels_first=True)
    with layouts:
        made = weakref.ref(torch.relu(maps))
    gc.collect()
    assert made() is None
