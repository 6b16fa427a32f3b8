"""Whole numbers and booleans beside the image, such as token ids and masks, go into the model as they are."""

import keras
import numpy as np
import pytest
from tests.contracts import in_keras, reference

import seewhy
from seewhy.errors import InputError, ModelRunError
from seewhy.exporter.samples import make_samples

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, 6, 6, 3)).astype(np.float32)
TOKENS = RANDOM.integers(0, 10, (2, 5))
MASKS = np.array([[True, True, False, True, False], [False, True, True, True, True]])
KERNEL = RANDOM.standard_normal((3, 3, 3, 4)).astype(np.float32) / 3
TABLE = RANDOM.standard_normal((10, 4)).astype(np.float32)
WEIGHTS = RANDOM.standard_normal((4, 3)).astype(np.float32)


class KerasNet(keras.Model):
    """Scales the pooled maps of an image by the sum of the embedded tokens that the mask keeps."""

    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3, activation="relu", name="conv")
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.table = self.add_weight(shape=TABLE.shape, name="table")
        self.dense = keras.layers.Dense(3, use_bias=False)

    def call(self, inputs):
        image, tokens, mask = inputs["image"], inputs["tokens"], inputs["mask"]
        assert keras.backend.standardize_dtype(mask.dtype) == "bool"
        assert "int" in keras.backend.standardize_dtype(tokens.dtype)
        embedded = keras.ops.take(self.table, tokens, axis=0)
        kept = keras.ops.where(mask[..., None], embedded, keras.ops.zeros_like(embedded))
        return self.dense(self.pool(self.conv(image)) * keras.ops.sum(kept, axis=1))


def keras_net():
    model = KerasNet()
    model({"image": IMAGES, "tokens": TOKENS.astype(np.int32), "mask": MASKS})
    model.conv.set_weights([KERNEL, np.zeros(4)])
    model.table.assign(TABLE)
    model.dense.set_weights([WEIGHTS])
    return model


def torch_net():
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.embedding = torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.Embedding(10, 4)
            self.dense = torch.nn.Linear(4, 3, bias=False)
            with torch.no_grad():
                self.conv.weight.copy_(torch.tensor(KERNEL.transpose(3, 2, 0, 1)))
                self.embedding.weight.copy_(torch.tensor(TABLE))
                self.dense.weight.copy_(torch.tensor(WEIGHTS.T))
            self.relu = torch.nn.ReLU()

        def forward(self, image, tokens, mask):
            kept = self.embedding(tokens).masked_fill(~mask[..., None], 0)
            return self.dense(self.relu(self.conv(image)).mean((2, 3)) * kept.sum(1))

    return Net()


def scores():
    """The scores of the model, and the sum of the kept embedded tokens, computed in NumPy."""
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES, (3, 3), axis=(1, 2))  # (N, u, v, 3, 3, 3)
    maps = np.maximum(np.einsum("nuvcij,ijck->nuvk", windows, KERNEL), 0)
    factors = (TABLE[TOKENS] * MASKS[..., None]).sum(1)
    return (maps.mean((1, 2)) * factors) @ WEIGHTS, maps, factors


@pytest.mark.parametrize("integers", [np.int32, np.int64, np.uint32], ids=lambda dtype: dtype.__name__)
def test_tokens_and_masks_beside_an_image(framework, integers):
    model, layer = (keras_net(), "conv") if framework is in_keras else (torch_net(), "relu")
    inputs = {"image": framework.given(IMAGES), "tokens": TOKENS.astype(integers), "mask": MASKS}
    found = seewhy.Explainer(model, "layercam", layer, signed=True).heatmaps(inputs, [0, 2])
    expected, maps, factors = scores()
    np.testing.assert_allclose(found.scores, expected[:, [0, 2]], rtol=1e-4)
    gradients = factors[:, None] * WEIGHTS.T[[0, 2]] / maps[0, ..., 0].size  # (N, T, K)
    heatmaps = np.einsum("nuvk,ntk->ntuv", maps, np.maximum(gradients, 0))
    np.testing.assert_allclose(found.values, heatmaps, rtol=1e-4, atol=1e-6)


def test_other_types_after_the_first_explanation(framework):
    """Compiled functions are for one type of the inputs."""
    model, layer = (keras_net(), "conv") if framework is in_keras else (torch_net(), "relu")
    explainer = seewhy.Explainer(model, layer=layer)
    inputs = {"image": framework.given(IMAGES), "tokens": TOKENS, "mask": MASKS}
    first = explainer.heatmaps(inputs, 1)
    second = explainer.heatmaps(inputs | {"tokens": TOKENS.astype(np.int32)}, 1)
    np.testing.assert_array_equal(second.values, first.values)
    with pytest.raises(ModelRunError, match=r"on an input of shape .*, \((2|any), 5\), \((2|any), 5\) of type bool: "):
        explainer.heatmaps(inputs | {"tokens": TOKENS.astype(np.float32)}, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_one_image_of_whole_numbers_is_pixels(framework, dtype):
    explainer = seewhy.Explainer(framework.plain(), layer=framework.path("features"))
    pixels = (np.abs(reference.images()) * 2).astype(dtype)
    found, expected = (
        explainer.heatmaps(framework.given(each), 0).values for each in (pixels, pixels.astype(np.float32))
    )
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def text_model(framework):
    if framework is in_keras:
        layers = keras.layers
        tokens = keras.Input((5,), dtype="int32")
        embedded = layers.Embedding(10, 4, name="embedding")(tokens)
        hidden = layers.Conv1D(6, 2, activation="relu", name="conv")(embedded)
        return keras.Model(tokens, layers.Dense(3)(layers.Flatten()(hidden)))
    from torch import manual_seed, nn

    manual_seed(0)
    return nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Unflatten(1, (4, 5)), nn.Conv1d(4, 6, 2), nn.Flatten(),
                         nn.Linear(24, 3))  # fmt: skip


def test_token_ids_alone(framework):
    """Layers are explained as usual; methods that change or differentiate the input say why they cannot."""
    model = text_model(framework)
    layer = "conv" if framework is in_keras else "3"
    found = seewhy.Explainer(model, layer=layer).heatmaps(TOKENS, 1)
    assert found.values.shape == (2, 1, 4)
    assert found.values.max() > 0
    for method in ("occlusion", "saliency", "scorecam"):
        with pytest.raises(InputError, match=r"The input is of type int64, such as token ids, and .* a layer, such as"):
            seewhy.Explainer(model, method, layer).heatmaps(TOKENS, 1)


def test_a_declared_type_of_keras_is_respected():
    """A functional model declares its inputs' types: whole numbers for an input of floats become floats."""
    image, sizes = keras.Input((6, 6, 3), name="image"), keras.Input((4,), name="sizes")
    maps = keras.layers.Conv2D(4, 3, name="conv")(image)
    model = keras.Model([image, sizes], keras.layers.GlobalAveragePooling2D()(maps) * sizes)
    sizes = np.arange(8).reshape(2, 4)
    found, expected = (
        seewhy.Explainer(model, layer="conv").heatmaps([IMAGES, each], 1).values
        for each in (sizes, sizes.astype(np.float32))
    )
    np.testing.assert_array_equal(found, expected)


def test_samples_for_exports_have_the_declared_types():
    """Of ids and of masks they hold 0 and 1, which every vocabulary has."""
    image, ids = keras.Input((6, 6, 3), name="image"), keras.Input((40,), dtype="int32", name="ids")
    mask = keras.Input((40,), dtype="bool", name="mask")
    kept = keras.layers.Flatten()(keras.layers.Embedding(2, 3)(ids) * keras.ops.cast(mask, "float32")[..., None])
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(image), kept])
    inputs = {"image": image, "ids": ids, "mask": mask}
    model = seewhy.Classifier(keras.Model(inputs, keras.layers.Dense(2)(joined)))
    found = make_samples(model, None, as_pixels=False).inputs
    assert {name: array.dtype.name for name, array in found.items()} == {
        "image": "float32",
        "ids": "int32",
        "mask": "bool",
    }
    assert all(np.unique(found[name]).tolist() == [0, 1] for name in ("ids", "mask"))
