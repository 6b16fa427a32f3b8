"""Attention in Keras models is found by what is computed, whatever its layers are, and only where it is attention."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.contracts import attention_kinds as kinds

from seewhy.errors import LayerError
from seewhy.frameworks import framework_for
from seewhy.targets import Class, Objective

IS_TORCH = keras.backend.backend() == "torch"
"""PyTorch runs no graph: it shows attention whose softmax is one function, over the last axis of a product."""

OBJECTIVE = Objective(Class((2,)))


def images(count=2):
    return np.random.default_rng(5).normal(size=(count, *kinds.GRID, 3)).astype(np.float32)


def test_every_kind_of_attention_is_found():
    size, tokens, several = kinds.HEAD_SIZE, kinds.TOKENS, (kinds.HEADS, kinds.TOKENS, kinds.TOKENS)
    shapes = {
        kinds.self_attention(layers.MultiHeadAttention(kinds.HEADS, size, dropout=0.1)): several,
        kinds.Grouped(): (4, tokens, tokens),
        kinds.Talking(): several,
        kinds.LearnedQuery(): (kinds.HEADS, 1, tokens),
    }
    if not IS_TORCH:
        shapes |= {
            kinds.self_attention(layers.AdditiveAttention()): (1, tokens, tokens),
            kinds.over_grid(layers.MultiHeadAttention(kinds.HEADS, size)): several,
        }
    assert framework_for(kinds.model(*shapes)).attention_shapes(images()) == tuple(shapes.values())


def test_softmaxes_of_channels_and_gates_are_no_attention():
    framework = framework_for(kinds.model(kinds.Channels(), kinds.Gates()))
    assert framework.attention_shapes(images()) == ()


def test_maps_and_gradients_are_those_of_each_image():
    """A map multiplied with 1 + d has the derivative sum(A * dy/dA * d) at 0, which finite differences show."""
    attending = (kinds.Windows(), *((kinds.Talking(),) if IS_TORCH else (kinds.Folded(), kinds.QueriesFirst())))
    framework = framework_for(kinds.model(*attending))
    capture = framework.capture_attention(images(), OBJECTIVE)
    for layer, *tensors in zip(attending, capture.maps, capture.require_gradients(), strict=True):
        attention, gradients = map(framework.to_numpy, tensors)
        assert attention.shape[1:] == layer.map_shape
        np.testing.assert_allclose(attention.sum(axis=-1), 1, rtol=1e-5)
        change = np.random.default_rng(1).normal(size=layer.map_shape).astype(np.float32)
        scores = []
        for step in (-0.01, 0.01):
            layer.changes.assign(step * change)
            scores.append(framework.to_numpy(framework.capture_attention(images(), OBJECTIVE).scores))
        layer.changes.assign(np.zeros(layer.map_shape))
        derivative = (attention * gradients[:, 0] * change).reshape(len(attention), -1).sum(axis=-1)
        slope = (scores[1] - scores[0])[:, 0] / 0.02
        np.testing.assert_allclose(slope, derivative, rtol=0, atol=5e-3 * np.abs(derivative).max())


@pytest.mark.parametrize(
    ("kind", "obstacle"),
    [
        (kinds.Mixed, "combines the softmax .* with other weights"),
        (kinds.Uneven, "no axis is that of the images"),
        pytest.param(
            *(kinds.InLoop, "inside a loop, a branch"),
            marks=pytest.mark.skipif(IS_TORCH, reason="PyTorch runs what is in the loop like what is not"),
        ),
    ],
)
def test_attention_that_cannot_be_explained_is_refused_in_words(kind, obstacle):
    framework = framework_for(kinds.model(kind()))
    assert framework.attention_shapes(images()) == ()
    with pytest.raises(LayerError, match=rf"attention of this model cannot be explained: it .*{obstacle}"):
        framework.capture_attention(images(), OBJECTIVE)
