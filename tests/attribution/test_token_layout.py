"""Which tokens are which patches of the image: hand-written transformers in PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.errors import LayerError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore:.* bypasses the layer")  # those that are named are inside blocks

GRID, PATCH, SIZE = (4, 6), 4, 8


class Attention(nn.Module):
    """A block of attention and a perceptron, on (N, L, K)."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.mlp = nn.LayerNorm(SIZE), nn.Linear(SIZE, 3 * SIZE), nn.Linear(SIZE, SIZE)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        x = x + torch.softmax(q @ k.mT / SIZE**0.5, dim=-1) @ v
        return x + self.mlp(x).tanh()


class Transformer(nn.Module):
    """Patches by a convolution or a linear layer, other tokens before and after them, blocks, and a token or the mean.

    `merged` takes the mean of four patches before the last block, as hierarchical transformers do.
    """

    def __init__(self, prefix=0, suffix=0, *, convolves=True, reads=0, merged=False, queries=0):
        super().__init__()
        self.patches = nn.Conv2d(3, SIZE, PATCH, PATCH) if convolves else nn.Linear(3 * PATCH**2, SIZE)
        self.before, self.after = (nn.Parameter(torch.randn(1, count, SIZE)) for count in (prefix, suffix))
        self.positions = nn.Parameter(torch.randn(1, GRID[0] * GRID[1], SIZE))
        self.first, self.last, self.dense = Attention(), Attention(), nn.Linear(SIZE, 3)
        self.queries = nn.Parameter(torch.randn(queries, GRID[0] * GRID[1]))
        self.convolves, self.reads, self.merged = convolves, reads, merged

    def forward(self, image):
        if self.convolves:
            x = self.patches(image).flatten(2).mT
        else:
            cells = image.reshape(len(image), 3, GRID[0], PATCH, GRID[1], PATCH).permute(0, 2, 4, 1, 3, 5)
            x = self.patches(cells.reshape(len(image), GRID[0] * GRID[1], -1))
        x = torch.cat([self.before.expand(len(x), -1, -1), x + self.positions, self.after.expand(len(x), -1, -1)], 1)
        x = self.first(x)
        if self.merged:
            x = x.reshape(len(x), GRID[0] // 2, 2, GRID[1] // 2, 2, SIZE).mean((2, 4)).flatten(1, 2)
        if len(self.queries):
            x = self.queries @ x
        x = self.last(x)
        return self.dense(x.mean(1) if self.reads is None else x[:, self.reads])


def transformer(**options):
    torch.manual_seed(1)
    return Transformer(**options).eval()


def images(count=2):
    return np.random.default_rng(0).normal(size=(count, 3, GRID[0] * PATCH, GRID[1] * PATCH)).astype(np.float32)


def captured(model, layer, inputs):
    """Return the layer's activations and the gradients of the score of class 1, both (N, L, K)."""
    found = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _, __, output: found.append(output) or output)
    score = model(torch.tensor(inputs))[:, 1].sum()
    hook.remove()
    return found[0].detach(), torch.autograd.grad(score, found[0])[0]


def gradcam_of_patches(model, layer, inputs, grid, prefix):
    patches = slice(prefix, prefix + grid[0] * grid[1])
    activations, gradients = (values[:, patches] for values in captured(model, layer, inputs))
    return torch.einsum("nk,npk->np", gradients.mean(1), activations).reshape(-1, 1, *grid)


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({"prefix": 1}, 1),
        ({"prefix": 5, "convolves": False}, 5),
        ({"prefix": 1, "suffix": 3, "reads": -1}, 1),
        ({"suffix": 1, "reads": -1, "convolves": False}, 0),
        ({"reads": None}, 0),
        ({"reads": None, "convolves": False}, 0),
        ({"prefix": 1, "reads": None}, 1),
    ],
)
def test_the_heatmap_is_that_of_the_patches_alone(options, prefix):
    model = transformer(**options)
    found = seewhy.Explainer(model, layer="first", signed=True).heatmaps(images(), [1])
    expected = gradcam_of_patches(model, "first", images(), GRID, prefix)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * float(expected.abs().max()))
    given = seewhy.TokenGrid(GRID, prefix, options.get("suffix", 0))
    named = seewhy.Explainer(model, layer="first", signed=True, tokens=given).heatmaps(images(), [1])
    np.testing.assert_array_equal(named.values, found.values)


def test_later_stages_have_half_the_rows_and_columns():
    model = transformer(reads=None, merged=True)
    found = seewhy.Explainer(model, layer="last", signed=True).heatmaps(images(), [1])
    expected = gradcam_of_patches(model, "last", images(), (2, 3), 0)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * float(expected.abs().max()))


def test_an_input_that_the_patches_do_not_fill():
    """The convolution leaves out what remains of 18 x 27 pixels."""
    model = transformer(prefix=1)
    inputs = np.pad(images(), ((0, 0), (0, 0), (0, 2), (0, 3)))
    found = seewhy.Explainer(model, layer="first", signed=True).heatmaps(inputs, [1])
    np.testing.assert_allclose(found.values, gradcam_of_patches(model, "first", images(), GRID, 1).numpy(), atol=1e-5)


def test_ablation_cam_sets_channels_of_patches_to_0_and_no_other_token():
    model, patches = transformer(prefix=2, suffix=1), slice(2, 26)
    found = seewhy.Explainer(model, "ablationcam", layer="first", signed=True).heatmaps(images(), [1])
    activations, _ = captured(model, "first", images())
    weights = []
    with torch.no_grad():
        scores = model(torch.tensor(images()))[:, 1]
        for k in range(SIZE):
            ablated = activations.clone()
            ablated[:, patches, k] = 0
            hook = model.first.register_forward_hook(lambda *_, ablated=ablated: ablated)
            weights.append(scores - model(torch.tensor(images()))[:, 1])
            hook.remove()
    expected = torch.einsum("kn,npk->np", torch.stack(weights), activations[:, patches]).reshape(-1, 1, *GRID)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("method", ["smoothgradcam++", "scorecam", "guided_gradcam"])
def test_methods_that_run_perturbations_take_the_patches(method):
    options = {"others": "pass"} if method == "guided_gradcam" else {}
    explainer = seewhy.Explainer(
        transformer(prefix=1), seewhy.methods.get(method, **options), layer="first", signed=True
    )
    found = explainer.heatmaps(images(), [1])
    alone = explainer.heatmaps(images()[1:], [1])
    assert found.values.shape[2:] == (GRID if method != "guided_gradcam" else (16, 24))
    np.testing.assert_allclose(found.values[1], alone.values[0], atol=1e-5 * np.abs(alone.values).max())


def test_layers_are_fused_and_inputs_augmented():
    model = transformer(prefix=1)
    fused = seewhy.Explainer(model, layer=["patches", "first"]).heatmaps(images(), [1])
    single = [seewhy.Explainer(model, layer=layer).heatmaps(images(), [1]).values for layer in ("patches", "first")]
    scaled = [each / each.max(axis=(2, 3), keepdims=True) for each in single]
    np.testing.assert_allclose(fused.values, np.mean(scaled, axis=0), atol=1e-6)
    flipped = images()[..., ::-1].copy()
    averaged = seewhy.Explainer(model, layer="first", augmentation="flips", signed=True).heatmaps(images(), [1])
    plain = seewhy.Explainer(model, layer="first", signed=True)
    both = [plain.heatmaps(images(), [1]).values, plain.heatmaps(flipped, [1]).values[..., ::-1]]
    np.testing.assert_allclose(averaged.values, np.mean(both, axis=0), atol=1e-6)


def test_many_classes_at_once_have_the_maps_that_each_has_alone():
    model = transformer(prefix=1, reads=None)
    explainer = seewhy.Explainer(model, layer="last", signed=True)
    many = explainer.heatmaps(images(), [0, 1, 2] * 12)
    np.testing.assert_allclose(many.values[:, 4:5], explainer.heatmaps(images(), [1]).values, atol=1e-6)


def test_tokens_that_are_no_patches_are_no_image():
    """20 queries: 4 x 5 of them would nearly fit the image."""
    explainer = seewhy.Explainer(transformer(queries=20, reads=None), layer="last")
    with pytest.raises(LayerError, match=r"'last' has 20 positions along one axis, and no grid of patches of the"):
        explainer.heatmaps(images(), [1])
    with pytest.raises(LayerError, match=r"tokens=seewhy.TokenGrid\(prefix=..., grid=\(h, w\)\)"):
        explainer.heatmaps(images(), [1])


@pytest.mark.parametrize(
    ("tokens", "layer", "message"),
    [
        (seewhy.TokenGrid((4, 6)), "first", r"0 \+ 4 x 6 \+ 0 = 24 tokens, and the output of the layer 'first' has 25"),
        (seewhy.TokenGrid((4, 6), 1), "patches", r"the layer 'patches' has no tokens: its positions are \(4, 6\)"),
    ],
)
def test_a_given_grid_that_does_not_fit(tokens, layer, message):
    with pytest.raises(LayerError, match=message):
        seewhy.Explainer(transformer(prefix=1), layer=layer, tokens=tokens).heatmaps(images(), [1])


@pytest.mark.parametrize("tokens", ["14x14", (14, 14), 1])
def test_what_is_no_grid(tokens):
    with pytest.raises(OptionError, match=r"expected None or a seewhy.TokenGrid"):
        seewhy.Explainer(transformer(), tokens=tokens)


@pytest.mark.parametrize("targets", [[1], [0, 1, 2] * 11])
def test_a_given_grid_does_not_change_methods_at_the_input(targets):
    model, tokens = transformer(prefix=1), seewhy.TokenGrid((4, 6), 1)
    found = seewhy.Explainer(model, "saliency", tokens=tokens).heatmaps(images(), targets).values
    expected = seewhy.Explainer(model, "saliency").heatmaps(images(), [1]).values
    np.testing.assert_allclose(found[:, targets.index(1)], expected[:, 0], rtol=1e-4)


def test_columns_whose_windows_reach_beyond_them():
    """The last of ten columns is seen most by the token before its own: padding is where that one looks most."""
    columns = nn.Conv2d(3, 4, (8, 13), (8, 4), padding=(0, 6))
    model = nn.Sequential(columns, nn.Flatten(2), Transposed(), nn.Linear(4, 5), nn.ReLU(), Mean(), nn.Linear(5, 2))
    with torch.no_grad():
        columns.weight.copy_(torch.linspace(0.1, 1, 13).expand_as(columns.weight))
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 40)).astype(np.float32)
    found = seewhy.Explainer(model, layer="3").heatmaps(image, [1])
    assert found.values.shape == (1, 1, 1, 10)


class Transposed(nn.Module):
    def forward(self, x):
        return x.mT


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)
