"""Attention maps in native PyTorch, in the ways in which models compute them."""

import numpy as np
import pytest
import torch
from tests.contracts import attention_reference as reference
from tests.contracts.transformer_in_torch import HEAD_SIZE, Layer, Products, Transformer, split
from torch import nn
from torch.nn import functional

import seewhy
from seewhy.errors import LayerError, ModelRunError, NoGradientError
from seewhy.frameworks import framework_for
from seewhy.targets import Class, Objective

OBJECTIVE = Objective(Class((1,)))
SHAPES = ((2, 7, 7), (2, 7, 7))


def given(images):
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


INPUTS = given(reference.images())


def heads(block, x):
    return (split(layer(x)) for layer in (block.query, block.key, block.value))


def merged(block, attended):
    return block.out(attended.transpose(1, 2).flatten(2))


def with_einsum(block, x):
    query, key, value = heads(block, x)
    scores = torch.einsum("...id,...jd->...ij", query, key) * HEAD_SIZE**-0.5
    weights = torch.einsum("b h i j, h g", functional.softmax(scores, -1), torch.eye(reference.HEADS))
    return merged(block, torch.einsum("bhij,bhjd->bhid", weights, value))


def in_place(block, x):
    query, key, value = heads(block, x)
    scores = query @ key.transpose(-2, -1)
    scores /= HEAD_SIZE**0.5
    weights = scores.softmax(-1)
    weights *= 2
    return merged(block, weights @ value / 2)


def folded_heads(block, x):
    query, key, value = (each.flatten(0, 1) for each in heads(block, x))
    none = torch.empty(1, 1, 1).expand(len(query), 7, 7)
    scores = torch.baddbmm(none, query, key.transpose(1, 2), beta=0, alpha=HEAD_SIZE**-0.5)
    weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return merged(block, torch.bmm(weights, value).unflatten(0, (-1, reference.HEADS)))


def values_first(block, x):
    query, key, value = heads(block, x)
    weights = torch.softmax(query @ key.mT / HEAD_SIZE**0.5, dim=-1)
    return merged(block, (value.mT @ weights.permute(0, 1, 3, 2)).mT)


def masked(block, x):
    query, key, value = heads(block, x)
    mask = torch.ones(7, 7, dtype=torch.bool)
    return merged(block, functional.scaled_dot_product_attention(query, key, value, attn_mask=mask))


WAYS = [with_einsum, in_place, folded_heads, values_first, masked]


def heads_before_images(block, x):
    query, key, value = (each.transpose(0, 1).flatten(0, 1) for each in heads(block, x))
    weights = torch.softmax(query @ key.mT / HEAD_SIZE**0.5, dim=-1)
    return merged(block, (weights @ value).unflatten(0, (reference.HEADS, -1)).transpose(0, 1))


class Written(Products):
    """The four products with attention written as a function."""

    def __init__(self, block, way):
        super().__init__(block, "explicit")
        self.way = way

    def forward(self, x):
        return self.way(self, x)


def written(way):
    model = Transformer("explicit", "first")
    model.blocks = nn.ModuleList(Written(block, way) for block in reference.weights().blocks)
    return model.eval()


def capture(model, inputs=INPUTS, derivatives="gradients"):
    return framework_for(model).capture_attention(inputs, OBJECTIVE, derivatives)


def check(found, images=None):
    images = reference.images() if images is None else images
    _, maps = reference.run(images)
    gradients = reference.gradients(images, 1)
    for number in range(2):
        np.testing.assert_allclose(found.maps[number], maps[number], atol=1e-6)
        np.testing.assert_allclose(found.gradients[number][:, 0], gradients[number], atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_attention_is_found_however_it_is_written(way):
    check(capture(written(way)))


def test_attention_heads_before_images_are_refused():
    with pytest.raises(LayerError, match=r"attention of this model .* first axis is not that of the images"):
        seewhy.Explainer(written(heads_before_images), "legrad").heatmaps(INPUTS, [1])


@pytest.mark.parametrize("options", [{"need_weights": False}, {"average_attn_weights": False}])
def test_the_layer_of_pytorch_is_seen_inside(options, monkeypatch):
    monkeypatch.setattr(Layer, "forward", lambda self, x: nn.MultiheadAttention.forward(self, x, x, x, **options)[0])
    check(capture(Transformer("layer", "first").eval()))


def test_an_encoder_layer_is_seen_inside_and_its_fast_path_comes_back():
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 3), nn.Flatten(2), Transposed(), encoder, First(), nn.Linear(8, 4)).eval()
    with torch.inference_mode():
        expected = model(torch.tensor(INPUTS))
    found = capture(model)
    assert [tuple(each.shape) for each in found.maps] == [(2, 2, 6, 6)] * 2
    np.testing.assert_allclose(found.outputs, expected, atol=1e-6)
    assert torch.backends.mha.get_fastpath_enabled()


class Transposed(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


class First(nn.Module):
    def forward(self, x):
        return x[:, 0]


FUSED = {
    "scale": {"scale": 0.3},
    "causal": {"is_causal": True},
    "mask": {"attn_mask": torch.arange(30).reshape(5, 6) % 4 > 1},
    "added mask": {"attn_mask": torch.linspace(-2, 2, 30).reshape(5, 6)},
    "no keys": {"attn_mask": torch.arange(5)[:, None] > torch.zeros(6)},
    "shared keys": {"enable_gqa": True},
}


@pytest.mark.parametrize("options", FUSED.values(), ids=FUSED)
def test_fused_attention_in_steps_gives_the_same(options):
    from seewhy.frameworks.torch.attention_operations import attention_in_steps

    torch.manual_seed(0)
    groups = 2 if "enable_gqa" in options else 4
    query, key, value = torch.randn(2, 4, 5, 8), torch.randn(2, groups, 6, 8), torch.randn(2, groups, 6, 3)
    maps = []
    result = attention_in_steps(lambda weights: maps.append(weights) or weights, query, key, value, **options)
    expected = functional.scaled_dot_product_attention(query, key, value, **options)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert maps[0].shape == (2, 4, 5, 6)


@pytest.mark.parametrize("mask", [torch.tensor([[0.0] * 6, [-torch.inf] * 6]), torch.tensor([[True] * 6, [False] * 6])])
def test_gradients_of_fused_attention_are_those_of_pytorch_where_a_query_attends_to_no_key(mask):
    from seewhy.frameworks.torch.attention_operations import attention_in_steps

    torch.manual_seed(0)
    tensors = [torch.randn(1, 1, length, 8, requires_grad=True) for length in (2, 6, 6)]
    expected = torch.autograd.grad(functional.scaled_dot_product_attention(*tensors, mask).square().sum(), tensors)
    found = torch.autograd.grad(attention_in_steps(lambda weights: weights, *tensors, mask).square().sum(), tensors)
    for own, reference_gradient in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, reference_gradient, atol=1e-6)
        assert own.abs().sum() > 0


@pytest.mark.parametrize("is_autocast", [False, True])
def test_products_of_half_precision_are_not_rounded_before_the_softmax(is_autocast):
    from seewhy.frameworks.torch.attention_operations import attention_in_steps

    torch.manual_seed(0)
    tensors = [(torch.randn(1, 2, 16, 64) * size).bfloat16() for size in (8, 8, 1)]
    exact = functional.scaled_dot_product_attention(*(each.double() for each in tensors))
    with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
        found = attention_in_steps(lambda weights: weights, *tensors)
    assert found.dtype == torch.bfloat16
    np.testing.assert_allclose(found.float(), exact, atol=0.03)


def between_channels_in_heads(tokens):
    """Channels attend to channels, over all positions, as in XCiT."""
    channels = tokens.unflatten(2, (2, 4)).permute(0, 2, 3, 1)
    attended = (channels @ channels.transpose(-2, -1)).softmax(-1) @ channels
    return attended.permute(0, 3, 1, 2).reshape(tokens.shape)


def between_channels(tokens):
    """The same without attention heads, as in DANet."""
    channels = tokens.mT
    return ((channels @ tokens).softmax(-1) @ channels).mT


def between_channels_by_einsum(tokens):
    products = torch.einsum("npc,npd->ncd", tokens * 2, tokens)
    return torch.einsum("ncd,npd->npc", products.softmax(-1), tokens)


def between_channels_in_heads_by_einsum(tokens):
    channels = tokens.unflatten(2, (2, 4))
    products = torch.einsum("nphc,nphd->nhcd", channels, channels)
    return torch.einsum("nhcd,nphd->nphc", products.softmax(-1), channels).flatten(2)


BETWEEN_CHANNELS = (
    *(between_channels, between_channels_by_einsum),
    *(between_channels_in_heads, between_channels_in_heads_by_einsum),
)
OF_CHANNELS = {each.__name__: each for each in BETWEEN_CHANNELS}


class NotAttention(nn.Module):
    """Softmaxes that weigh something, but no values by products of queries and keys."""

    def __init__(self, kind):
        super().__init__()
        self.convolution, self.kind = nn.Conv2d(3, 8, 3, padding=1), kind
        self.queries, self.memory, self.head = nn.Linear(8, 5), nn.Parameter(torch.randn(5, 8)), nn.Linear(8, 4)

    def forward(self, image):
        maps = self.convolution(image)
        tokens = maps.flatten(2).transpose(1, 2)
        if self.kind == "gate":  # channels
            tokens = tokens * tokens.mean(1, keepdim=True).softmax(-1)
        elif self.kind == "context":  # a weighted sum over positions, whose weights one layer gives
            tokens = tokens + self.queries(tokens)[..., :1].transpose(1, 2).softmax(-1) @ tokens
        elif self.kind == "memory":  # external attention: keys and values are weights
            tokens = (tokens @ self.memory.T).softmax(-1) @ self.memory
        elif self.kind == "normalized memory":  # the same, with weights that are computed first
            memory = functional.normalize(self.memory, dim=-1)
            tokens = tokens + (tokens @ memory.T).softmax(-1) @ memory
        elif self.kind == "transposed":  # the sum is over the queries
            products = tokens @ tokens.transpose(1, 2)
            tokens = tokens + products.softmax(-1).transpose(1, 2) @ tokens
        elif self.kind in OF_CHANNELS:
            tokens = tokens + OF_CHANNELS[self.kind](tokens)
        else:  # products that nothing is multiplied with
            tokens = tokens + (tokens @ tokens.transpose(1, 2)).softmax(-1).mean(-1, keepdim=True)
        return self.head(tokens.mean(1)).softmax(-1)


@pytest.mark.parametrize(
    "kind", ["gate", "context", "memory", "normalized memory", "transposed", "unused", *OF_CHANNELS]
)
def test_other_softmaxes_are_not_taken(kind):
    model = NotAttention(kind)
    assert framework_for(model).attention_shapes(INPUTS) == ()
    with pytest.raises(LayerError, match="computes no attention"):
        capture(model)


class Windows(nn.Module):
    """Attends within columns of patches."""

    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 3, 3), nn.Linear(8, 4)

    def forward(self, image):
        x = self.patches(image).permute(0, 3, 2, 1)  # (N, 3, 2, 8)
        x = x.reshape(-1, 1, 2, 8)  # one head in each of 3 windows
        x = x + (x @ x.mT).softmax(-1) @ x
        return self.head(x.reshape(len(image), 6, 8).mean(1))


class Halved(nn.Module):
    """Merges tokens between two attentions."""

    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 3, 3), nn.Linear(8, 4)

    def forward(self, image):
        for_each = self.patches(image).flatten(2).transpose(1, 2)[:, None]
        x = (for_each @ for_each.mT).softmax(-1) @ for_each
        x = x.unflatten(2, (3, 2)).mean(3)
        return self.head(((x @ x.mT).softmax(-1) @ x).mean((1, 2)))


class Mixed(nn.Module):
    """Adds weights of positions to those of queries and keys."""

    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 3, 3), nn.Linear(8, 4)
        self.positions = nn.Parameter(torch.randn(6, 6))

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        weights = (x @ x.mT).softmax(-1) * 0.5 + self.positions.softmax(-1) * 0.5
        return self.head((weights @ x).mean(1))


@pytest.mark.parametrize("method", ["gradient_rollout", "legrad", "attention_rollout"])
def test_what_cannot_be_chained_is_refused(method):
    with pytest.raises(LayerError, match=r"layer 1 of 1 attends within windows, shape \(3, 1, 2, 2\): .* method=.auto"):
        seewhy.Explainer(Windows(), method).heatmaps(INPUTS, [1])
    with pytest.raises(LayerError, match=r"layer 2 of 2 has a map of 3 x 3 tokens, where there were 6 tokens before"):
        seewhy.Explainer(Halved(), method).heatmaps(INPUTS, [1])
    with pytest.raises(LayerError, match=r"combines the softmax of queries times keys with other weights"):
        seewhy.Explainer(Mixed(), method).heatmaps(INPUTS, [1])


def test_frozen_weights_and_inference_mode_do_not_matter():
    model = Transformer("fused", "first").eval().requires_grad_(False)
    with torch.inference_mode():
        check(capture(model))
    with torch.no_grad():
        check(capture(model))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_model_is_as_before_also_after_an_exception(monkeypatch):
    model = Transformer("layer", "first").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    check(capture(model))
    monkeypatch.setattr(model.head, "forward", lambda x: x.no_such_method())
    with pytest.raises(ModelRunError, match="no_such_method"):
        capture(model)
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not torch.overrides._get_current_function_mode_stack()
    assert torch.is_grad_enabled()


def test_scores_that_do_not_depend_on_attention_have_no_gradient():
    model = Transformer("explicit", "first").eval()
    model.head.register_forward_hook(lambda *call: call[-1].detach())
    with pytest.raises(NoGradientError, match="No gradient reaches the model's attention"):
        capture(model)


def test_the_grid_is_found_and_the_class_token_left_out():
    images = reference.images(1)
    found = seewhy.Explainer(Transformer("fused", "first").eval(), "gradient_rollout").heatmaps(given(images), [1])
    assert found.values.shape == (1, 1, *reference.GRID)
    np.testing.assert_allclose(found.values[0, 0], reference.gradient_rollout(images, 1)[0], atol=1e-6)


def test_many_classes_are_explained_in_chunks(monkeypatch):
    explainer = seewhy.Explainer(Transformer("fused", "first").eval(), "legrad")
    at_once = explainer.heatmaps(INPUTS, [[0, 1, 2, 3]] * 2)
    monkeypatch.setattr("seewhy.attribution.attention.ATTENTION_BYTES", 4 * 2 * 2 * 2 * 49 * 3)
    in_chunks = explainer.heatmaps(INPUTS, [[0, 1, 2, 3]] * 2)
    np.testing.assert_allclose(in_chunks.values, at_once.values, atol=1e-8)
    np.testing.assert_allclose(in_chunks.values[:, 1], reference.legrad(reference.images(), 1), atol=1e-6)
