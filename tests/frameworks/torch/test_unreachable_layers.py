"""Modules whose outputs cannot be reached: the model's other layers are explained nevertheless."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

import seewhy
from seewhy.errors import LayerError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


IMAGES = random(2, 3, 8, 8)


class Ensemble(nn.Module):
    """The mean of several heads, which run one by one or under vmap."""

    def __init__(self, *, is_mapped):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3)
        self.heads = nn.ModuleList([nn.Sequential(nn.Conv2d(8, 6, 3), nn.Tanh(), nn.Flatten()) for _ in range(4)])
        self.dense = nn.Linear(96, 3)
        self.is_mapped = is_mapped

    def forward(self, x):
        x = self.conv(x).relu()
        if not self.is_mapped:
            return self.dense(torch.stack([head(x) for head in self.heads]).mean(0))
        parameters, buffers = stack_module_state(self.heads)
        run = vmap(lambda weights, state: functional_call(self.heads[0], (weights, state), (x,)))
        return self.dense(run(parameters, buffers).mean(0))


@pytest.mark.parametrize("method", ["gradcam", "guided_backprop", "ablationcam", "layercam"])
def test_heads_under_vmap_have_the_maps_of_heads_in_a_loop(method):
    chosen = seewhy.methods.get(method, others="pass") if method == "guided_backprop" else method
    found, expected = (
        seewhy.Explainer(Ensemble(is_mapped=is_mapped), chosen, "conv").heatmaps(IMAGES, [0, 2]).values
        for is_mapped in (True, False)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_layer_under_vmap_is_refused_where_it_is_named_and_not_taken_by_auto():
    model = Ensemble(is_mapped=True)
    with pytest.raises(LayerError, match=r"The layer 'heads\.0\.0' runs inside torch\.vmap.*Give another layer"):
        seewhy.Explainer(model, layer="heads.0.0").heatmaps(IMAGES, 0)
    assert seewhy.Explainer(model).heatmaps(IMAGES, 0).layer == "conv"


def test_a_layer_in_a_gradient_of_the_model_s_own_is_refused():
    class Sloped(nn.Module):
        def __init__(self):
            super().__init__()
            self.potential, self.conv, self.dense = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 8, 3), nn.Linear(288, 3)

        def forward(self, x):
            slopes = torch.func.grad(lambda x: self.potential(x).tanh().sum())(x)
            return self.dense(self.conv(slopes).flatten(1))

    with pytest.raises(LayerError, match=r"The layer 'potential' runs inside torch\.vmap or another transform"):
        seewhy.Explainer(Sloped(), layer="potential").heatmaps(IMAGES, 0)
    assert seewhy.Explainer(Sloped()).heatmaps(IMAGES, 0).layer == "conv"


class Tail(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(8, 6, 3)
        self.dense = nn.Linear(6, 3)

    def forward(self, x):
        return self.dense(self.conv(x).relu().mean((2, 3)))


def in_two_parts(compile_tail):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), compile_tail(Tail()))


COMPILERS = {
    "scripted": torch.jit.script,
    "traced": lambda tail: torch.jit.trace(tail, torch.zeros(1, 8, 6, 6)),
    "frozen": lambda tail: torch.jit.freeze(torch.jit.script(tail.eval())),
}


@pytest.mark.parametrize("method", ["gradcam", "ablationcam"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_torchscript_part_is_no_obstacle(compiler, method):
    model, plain = in_two_parts(COMPILERS[compiler]), in_two_parts(lambda tail: tail)
    found, expected = (
        seewhy.Explainer(each, method, layer="1").heatmaps(IMAGES, [0, 2]).values for each in (model, plain)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert seewhy.Explainer(model).heatmaps(IMAGES, 0).layer == "1"


@pytest.mark.parametrize(("compiler", "layer"), [("scripted", "2"), ("scripted", "2.conv"), ("traced", "2.conv")])
def test_a_layer_in_a_torchscript_part_is_refused(compiler, layer):
    model = in_two_parts(COMPILERS[compiler])
    message = (
        rf"The layer '{layer}' is a TorchScript module or inside one.*the torch\.nn\.Module that it was compiled from"
    )
    with pytest.raises(LayerError, match=message):
        seewhy.Explainer(model, layer=layer).heatmaps(IMAGES, 0)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_layers_of_a_transformer_with_padding(is_frozen):
    """In inference PyTorch would pack the tokens without padding into a tensor that has no shape."""

    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder, self.dense = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)
            self.register_buffer("mask", torch.tensor([[False] * 3 + [True] * 2, [False] * 5]))

        def forward(self, tokens):
            return self.dense(self.encoder(tokens, src_key_padding_mask=self.mask)[:, :3].mean(1))

    model, tokens = Padded().requires_grad_(not is_frozen).eval(), random(2, 5, 8)
    found = seewhy.Explainer(model, "layercam", layer="encoder.layers.0", signed=True).heatmaps(tokens, 1).values
    maps = []
    model.encoder.layers[0].register_forward_hook(
        lambda *call: maps.append(call[-1].detach().requires_grad_()) or maps[0]
    )
    with torch.enable_grad():
        model(torch.tensor(tokens, requires_grad=True))[:, 1].sum().backward()
    expected = (maps[0].grad.relu() * maps[0]).sum(-1).detach()
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-6)


class Packed(nn.Module):
    def __init__(self, layout):
        super().__init__()
        self.layout = layout

    def forward(self, x):
        return torch.nested.nested_tensor([image.flatten(1).T for image in x], layout=self.layout)


class Unpacked(nn.Module):
    def forward(self, x):
        return torch.nested.to_padded_tensor(x, 0.0).mean(1)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=str)
def test_a_module_that_returns_a_nested_tensor_is_no_obstacle(layout):
    """Before the layer, for a nested tensor cannot be differentiated everywhere."""
    rest = nn.Sequential(nn.Unflatten(1, (1, 3, 1)), nn.Conv2d(1, 4, (2, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    model = nn.Sequential(Packed(layout), Unpacked(), *rest)
    means = IMAGES.mean((2, 3))
    found = seewhy.Explainer(model).heatmaps(IMAGES, [0, 2])
    expected = seewhy.Explainer(rest).heatmaps(means, [0, 2])
    assert (found.layer, expected.layer) == ("4", "2")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-7)
    with pytest.raises(LayerError, match="'0' cannot be explained: its output is not one tensor"):
        seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 0)
