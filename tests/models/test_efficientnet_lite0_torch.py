"""The torch model against the Keras one: two ways to compute the same numbers from one file."""

import numpy as np
import pytest
import torch

from seewhy import Preprocessing
from seewhy.models.efficientnet_lite0_torch import SameConv2d, build_torch


@pytest.fixture(scope="module")
def model():
    return build_torch(pretrained=True)


def keras_logits(keras_lite0, values):
    """Return what stands before the softmax, from the layer below it and the last layer's own weights."""
    import keras

    below = keras.Model(keras_lite0.model.inputs[0], keras_lite0.model.get_layer("top_dropout").output)
    kernel, bias = keras_lite0.model.get_layer("predictions").get_weights()
    return np.asarray(below(values)) @ kernel + bias


def torch_logits(model, values):
    with torch.no_grad():
        return model(torch.tensor(values).permute(0, 3, 1, 2)).numpy()


def test_its_logits_are_those_of_the_keras_model(keras_lite0, model, examples):
    photos = [examples / name for name in ("cat.png", "coffee.png", "rocket.jpg", "flower.jpg")]
    values = keras_lite0.preprocess(photos).values
    found = torch_logits(model, values)
    np.testing.assert_allclose(found, keras_logits(keras_lite0, values), atol=1e-4)
    assert [int(each) for each in found.argmax(axis=1)] == [282, 967, 657, 985]


def test_its_weights_and_so_its_maps_are_channels_last_in_memory(model):
    with torch.no_grad():
        maps = model.stem_conv(torch.zeros(1, 3, 224, 224).to(memory_format=torch.channels_last))
    for each in (model.stem_conv.weight, maps):
        assert each.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(96, 97), (65, 130)])
def test_on_inputs_of_other_sizes_it_pads_alike(model, keras_lite0, size):
    """The Keras model takes one size; its last feature map at another comes from the same layers, called again."""
    import keras

    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    values = Preprocessing(size=size, mean=127.0, std=128.0)([image]).values
    other = keras.models.clone_model(keras_lite0.model, input_tensors=keras.Input((*size, 3)))
    other.set_weights(keras_lite0.model.get_weights())
    expected = np.asarray(keras.Model(other.inputs[0], other.get_layer("top_relu6").output)(values))
    captured = []
    with torch.no_grad(), model.top_relu6.register_forward_hook(lambda *call: captured.append(call[-1])):
        model(torch.tensor(values).permute(0, 3, 1, 2))
    (maps,) = captured
    np.testing.assert_allclose(maps.permute(0, 2, 3, 1).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [(224, 3, 2, (0, 1)), (225, 3, 2, (1, 1)), (112, 5, 2, (1, 2)), (14, 5, 1, (2, 2)), (7, 1, 1, (0, 0))],
)
def test_padding_by_hand(size, kernel, stride, padding):
    """TensorFlow: ceil(size / stride) steps need (steps - 1) * stride + kernel; what is odd goes behind."""
    assert SameConv2d(1, 1, kernel, stride)._padding(0, size) == padding


def test_its_parts(model):
    assert sum(each.numel() for each in model.parameters()) == 4_652_008
    assert not model.training
    assert model.block1a_depthwise_conv.weight.shape == (32, 1, 3, 3)


def test_its_layers_have_the_names_of_the_keras_layers(model, keras_lite0):
    names = [name for name, _ in model.named_children()]
    assert [name for name in names if name != "flatten"] == [layer.name for layer in keras_lite0.model.layers[1:]]


def test_without_weights_it_is_random_and_always_the_same_and_torch_s_seed_stays():
    torch.manual_seed(5)
    first = build_torch(pretrained=False).state_dict()
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    second = build_torch(pretrained=False).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["top_conv.weight"].std().item() == pytest.approx((2 / 320) ** 0.5, rel=0.02)
