"""What `method="auto"` takes for each kind of model, and what is said of a method that does not suit it."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from docs_build.images import ROOT
from torch import nn
from torch.nn import functional

import seewhy
from seewhy.attribution.method_choice import UNRELIABLE, choose_method
from seewhy.errors import LayerError, SeewhyWarning
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.layers import AUTO, LayerCall
from seewhy.targets import Class, Objective

IMAGES = np.zeros((1, 8, 8, 3), np.float32)
CHAIN, WINDOWS = ((2, 9, 9), (2, 9, 9)), ((4, 2, 9, 9), (4, 2, 9, 9))


def layer_of(*space):
    return LayerCall("norm", "LayerNorm", (*space, 8), is_pooling=False, is_pass_through=False, number=1, execution=1)


LAST = layer_of(9)


def chosen(shapes, inputs=IMAGES, method="auto", layer=AUTO, last=LAST, links=(), carrying=None, untold=()):
    """Choose for a model with these attention maps, whose last layer with positions is `last`."""
    framework = SimpleNamespace(
        attention_shapes=lambda _: shapes,
        attention_links=lambda _: links,
        untold_attention=lambda _: untold,
        calls=lambda _: [last],
        carrying_calls=lambda *_: carrying,
        compiles_batch_size=False,
        evidence=Evidence(),
    )
    return choose_method(seewhy.methods.get(method), framework, inputs, [LayerChoice(layer)], Objective(Class((0,))))


@pytest.mark.parametrize(
    ("shapes", "inputs", "layer", "method", "reason"),
    [
        ((), IMAGES, AUTO, "gradcam", "no attention maps"),
        (CHAIN, IMAGES, AUTO, "legrad_rollout", "2 attention layers form a chain"),
        (((2, 9, 9), (1, 4, 9), (2, 4, 4)), IMAGES, AUTO, "legrad_rollout", "3 attention layers form a chain"),
        (WINDOWS, IMAGES, AUTO, "integrated_gradients", "attention within windows; 16 steps"),
        (((2, 1, 9),), IMAGES, AUTO, "gradcam", "the attention layers form no chain"),
        (((2, 64, 16), (2, 64, 16)), IMAGES, AUTO, "gradcam", "the attention layers form no chain"),
        (CHAIN, IMAGES, "block", "gradcam", "a layer is named, or the classifier has a default layer"),
        (WINDOWS, [IMAGES, IMAGES], AUTO, "gradcam", "the input is not one batch of images"),
    ],
)
def test_the_method_suits_the_model(shapes, inputs, layer, method, reason):
    choice = chosen(shapes, inputs, layer=layer)
    assert (choice.method.name, choice.reason, choice.doubt) == (method, reason, "")


@pytest.mark.parametrize("last", [layer_of(3, 3), layer_of(36), layer_of(6, 6)])
def test_maps_that_are_not_of_the_last_layer_s_tokens_are_not_taken(last):
    """Attention in a block of a convolutional model, within windows that are in the batch, or along rows."""
    choice = chosen(CHAIN, last=last)
    assert (choice.method.name, choice.reason) == ("gradcam", "the last layers have other positions than the maps")
    assert chosen(CHAIN, method="gradcam", last=last).doubt == ""


def test_maps_of_branches_form_no_chain():
    choice = chosen(CHAIN, links=(False,))
    assert (choice.method.name, choice.reason) == ("gradcam", "the attention layers form no chain")
    assert chosen(CHAIN, links=(False,), carrying={("norm", 1)}).method.name == "gradcam"


def test_where_no_layer_carries_all_branches_gradients_go_to_the_input():
    for links in ((False,), (True,)):  # attention in both of two branches, or in one of them
        choice = chosen(CHAIN, links=links, carrying={("other", 1)})
        assert choice.reason == "attention in one of several branches; 16 steps"
        assert choice.method.name == "integrated_gradients"


def test_a_class_token_may_join_the_tokens_late():
    assert chosen(((2, 9, 9), (2, 9, 9), (2, 1, 10)), last=layer_of(10)).method.name == "legrad_rollout"


@pytest.mark.parametrize(
    ("untold", "last", "method"),
    [
        (CHAIN, LAST, "integrated_gradients"),
        (WINDOWS, layer_of(3, 3), "integrated_gradients"),
        (CHAIN, layer_of(3, 3), "gradcam"),  # the attention is in the tower of another image
        (CHAIN[:1], LAST, "gradcam"),
    ],
)
def test_one_of_several_images(untold, last, method):
    assert chosen((), untold=untold, last=last).method.name == method
    assert bool(chosen((), untold=untold, last=last, method="gradcam").doubt) is (method != "gradcam")


def test_a_method_that_is_named_is_taken_with_a_doubt():
    choice = chosen(CHAIN, method="gradcam")
    assert (choice.method.name, choice.reason) == ("gradcam", "")
    assert choice.doubt.startswith("Grad-CAM is unreliable for a model whose attention layers form a chain: ")
    assert choice.doubt.endswith("method='auto' takes legrad_rollout.")
    assert "whose attention runs within windows" in chosen(WINDOWS, method="gradcam").doubt
    for shapes, inputs, method, layer in [
        ((), IMAGES, "gradcam", AUTO),
        (((2, 1, 9),), IMAGES, "gradcam", AUTO),
        (CHAIN, IMAGES, "occlusion", AUTO),
        (CHAIN, IMAGES, "gradcam", "block"),
        (CHAIN, [IMAGES, IMAGES], "gradcam", AUTO),
    ]:
        assert chosen(shapes, inputs, method, layer).doubt == ""


def test_the_unreliable_methods_are_those_of_the_where_test():
    """Fewer than half of the peaks, in three models whose attention forms a chain, or in that with windows."""
    record = json.loads((ROOT / "docs" / "measured.json").read_text("utf-8"))["results"]["where-methods"]
    columns = record["headings"]
    chains = [number for number, title in enumerate(columns) if title.startswith("ViT")]
    windows = columns.index("shifted windows")
    rows = [row for row in record["rows"] if row[0] in seewhy.methods.METHODS]

    def is_poor(cell):
        return cell.replace(".", "").isdigit() and float(cell) < 0.5

    assert UNRELIABLE["chain"] == {row[0] for row in rows if sum(is_poor(row[each]) for each in chains) >= 3}
    assert UNRELIABLE["windows"] == {row[0] for row in rows if is_poor(row[windows])}


class Transformer(nn.Module):
    """A mean over tokens that two layers attend to, of patches that may be in the order of columns."""

    def __init__(self, *, by_columns):
        super().__init__()
        self.by_columns, self.patches = by_columns, nn.Conv2d(3, 8, 2, 2)
        self.blocks = nn.ModuleList(nn.Linear(8, 24) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, image):
        x = self.patches(image)
        x = (x.transpose(2, 3) if self.by_columns else x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            query, key, value = self.norm(block(x).unflatten(2, (3, 8))).unbind(2)
            x = x + functional.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]
            x = self.norm(x)
        return self.head(x.mean(dim=1))


@pytest.mark.parametrize("by_columns", [False, True])
def test_the_order_of_the_tokens_is_tested(by_columns):
    torch.manual_seed(0)
    explainer = seewhy.Explainer(Transformer(by_columns=by_columns).eval())
    inputs = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        heatmaps = explainer.heatmaps(inputs, [0])
    assert (heatmaps.method, heatmaps.values.shape) == ("legrad_rollout", (1, 1, 4, 4))
    said = [str(each.message) for each in caught]
    assert ["do not lie on the image row by row" in each for each in said] == [True] * by_columns


class Axial(nn.Module):
    """Attends along the rows of 3 x 4 patches, which are images of their own to the softmax."""

    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 3)

    def forward(self, image):
        x = self.patches(image).permute(0, 2, 3, 1)
        for _ in range(2):
            rows = x.flatten(0, 1)
            x = x + ((rows @ rows.transpose(1, 2)).softmax(dim=-1) @ rows).unflatten(0, x.shape[:2])
        return self.head(x.mean(dim=(1, 2)))


def test_maps_along_rows_are_refused():
    inputs = np.random.default_rng(0).normal(size=(2, 3, 6, 8)).astype(np.float32)
    with pytest.raises(LayerError, match="no layer was found that has as many for each image"):
        seewhy.Explainer(Axial().eval(), "legrad").heatmaps(inputs, [0])


class InWindows(nn.Module):
    """Attends within four windows of 2 x 2 patches, of the 4 x 4 that an image of 8 x 8 pixels has."""

    def __init__(self):
        super().__init__()
        self.patches, self.products = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 24)
        self.head = nn.Linear(8, 3)

    def forward(self, image):
        x = self.patches(image).unflatten(2, (2, 2)).unflatten(4, (2, 2)).permute(0, 2, 4, 3, 5, 1).flatten(3, 4)
        query, key, value = self.products(x.flatten(1, 2)).unflatten(3, (2, 12)).transpose(2, 3).chunk(3, dim=-1)
        x = functional.scaled_dot_product_attention(query, key, value).transpose(2, 3).flatten(3)
        return self.head(x.flatten(1, 2).mean(dim=1))


def test_integrated_gradients_where_attention_runs_within_windows():
    torch.manual_seed(0)
    model = InWindows().eval()
    reported = []
    classifier = seewhy.Classifier(model, preprocess=seewhy.Preprocessing((8, 8), mean=127.5, std=64.0))
    explainer = seewhy.Explainer(classifier, progress=lambda title, done, total: reported.append((title, done, total)))
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    (explanation,) = explainer.explain([image], [1])
    assert (explanation.method, explanation.method_reason) == (
        "integrated_gradients",
        "attention within windows; 16 steps",
    )
    assert (explanation.title, explanation.peak_quantile) == ("Integrated gradients", 0.995)
    assert (explanation.layer, explanation.heatmaps.shape) == ("input", (1, 8, 8))
    assert reported[0] == ("Integrated gradients", 0, 16)
    named = seewhy.Explainer(classifier, seewhy.methods.get("integrated_gradients", steps=16)).explain([image], [1])
    np.testing.assert_array_equal(explanation.heatmaps, named[0].heatmaps)
    signed = seewhy.Explainer(classifier, signed=True, augmentation="flips").explain([image, image], [1])
    assert signed[1].heatmaps.min() < 0 < signed[1].heatmaps.max()


def test_the_doubt_is_said_once():
    explainer = seewhy.Explainer(InWindows().eval(), "gradcam")
    inputs = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for targets in ([0], [1], [0, 1]):
            explainer.heatmaps(inputs, targets)
    doubts = [each for each in caught if "is unreliable" in str(each.message)]
    assert [each.category for each in doubts] == [SeewhyWarning]
