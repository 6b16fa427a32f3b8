"""Layers that are replaced, added or removed after an explainer was made, and used, are seen by it."""

import functools

import keras
import numpy as np
import pytest
from tests.contracts import in_keras

import seewhy
from seewhy.errors import LayerError

IMAGES = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)


def weights(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) / 4


def keras_net(seed):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="tanh", name="conv")])
    model.layers[0].set_weights([weights(3, 3, 3, 4, seed=0), weights(4, seed=0)])
    model.add(keras_head(seed))
    model.add(keras.layers.GlobalAveragePooling2D())
    return model


def replace_in_keras(model, seed):
    """Replace the head as Keras allows it: a built layer takes no other layers, but a Sequential does."""
    pool = model.layers[-1]
    model.pop()
    model.pop()
    model.add(keras_head(seed))
    model.add(pool)


def replace_in_torch(model, seed):
    model.head = torch_head(seed)


def keras_head(seed):
    head = keras.layers.Conv2D(5, 1, activation="relu", name="head")
    head.build((None, 6, 6, 4))
    head.set_weights([weights(1, 1, 4, 5, seed=seed), weights(5, seed=seed)])
    return head


def torch_head(seed):
    import torch

    head = torch.nn.Sequential(torch.nn.Conv2d(4, 5, 1), torch.nn.ReLU())
    with torch.no_grad():
        head[0].weight.copy_(torch.tensor(weights(1, 1, 4, 5, seed=seed).transpose(3, 2, 0, 1)))
        head[0].bias.copy_(torch.tensor(weights(5, seed=seed)))
    return head


def torch_net(seed):
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)
            self.head = torch_head(seed)
            with torch.no_grad():
                self.conv.weight.copy_(torch.tensor(weights(3, 3, 3, 4, seed=0).transpose(3, 2, 0, 1)))
                self.conv.bias.copy_(torch.tensor(weights(4, seed=0)))

        def forward(self, x):
            return self.head(self.conv(x).tanh()).mean((2, 3))

    return Net()


@pytest.fixture
def make(framework):
    """A function that returns the network whose head has weights of a seed."""
    return keras_net if framework is in_keras else torch_net


@pytest.fixture
def replace(framework):
    """A function that replaces the head of a network by one with weights of a seed."""
    return replace_in_keras if framework is in_keras else replace_in_torch


@functools.cache
def new_classifier(make):
    """Build a classifier whose head has the weights of the replacement, and share what is compiled for it."""
    return seewhy.Classifier(make(7))


@pytest.mark.parametrize(
    ("layer", "method"),
    [
        *((layer, method) for layer in ("conv", "head", "auto") for method in ("gradcam", "ablationcam", "eigencam")),
        ("auto", "saliency"),  # whichever the layer
    ],
)
def test_a_replaced_layer_is_explained_as_in_a_new_model(framework, make, replace, layer, method):
    model, inputs = make(1), framework.given(IMAGES)
    explainer = seewhy.Explainer(model, method, layer)
    first = explainer.heatmaps(inputs, 2)
    replace(model, 7)
    found = explainer.heatmaps(inputs, 2)
    expected = seewhy.Explainer(new_classifier(make), method, layer).heatmaps(inputs, 2)
    assert np.abs(found.scores - first.scores).max() > 0.01
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6)
    assert (found.layer == expected.layer) or method == "saliency"


def test_predictions_of_a_replaced_layer(make, replace):
    model = make(1)
    classifier = seewhy.Classifier(model, preprocess=seewhy.Preprocessing((8, 8)))
    image = np.full((8, 8, 3), 100, np.uint8)
    classifier.predict([image])
    replace(model, 7)
    expected = seewhy.Classifier(make(7), preprocess=seewhy.Preprocessing((8, 8))).predict([image])
    for one, other in zip(classifier.predict([image])[0], expected[0], strict=True):
        assert one.index == other.index
        assert one.probability == pytest.approx(other.probability, rel=1e-4)


def test_what_was_found_out_about_the_old_layers_is_forgotten(framework, make, replace):
    """A new head may let images influence each other, or be reached from other positions."""
    model, inputs = make(1), framework.given(IMAGES)
    explainer = seewhy.Explainer(model)
    explainer.framework.evidence.add("finding", 1)
    explainer.heatmaps(inputs, 2)
    assert explainer.framework.evidence.get("finding") == 1
    replace(model, 7)
    assert explainer.framework.evidence.get("finding") is None


def test_layer_objects_are_those_that_the_model_has_now(framework, make, replace):
    def head(model):
        return model.layers[1] if framework is in_keras else model.head

    model, inputs = make(1), framework.given(IMAGES)
    explainer, old = seewhy.Explainer(model), head(model)
    replace(model, 7)
    with pytest.raises(LayerError, match="is not part of the model"):
        explainer.framework.find_layer(old)
    assert explainer.framework.find_layer(head(model)).path == "head"
    assert seewhy.Explainer(model, layer=head(model)).heatmaps(inputs, 2).layer == "head"


def test_a_removed_layer_is_an_error_that_says_so():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), *(keras.layers.Conv2D(4, 3, name=name) for name in ("first", "second", "third"))]
    )
    model.add(keras.layers.GlobalAveragePooling2D(name="pool"))
    explainer = seewhy.Explainer(model, layer="third")
    explainer.heatmaps(IMAGES, 0)
    model.pop()
    model.pop()
    model.add(keras.layers.GlobalAveragePooling2D(name="other"))
    with pytest.raises(LayerError, match=r"'third' is not part of the model any more.*Make another Explainer"):
        explainer.heatmaps(IMAGES, 0)
    found = seewhy.Explainer(model).heatmaps(IMAGES, 0)
    assert found.layer == "second"


def test_a_removed_module_is_an_error_that_says_so(framework):
    if framework is in_keras:
        pytest.skip("native PyTorch only")
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = torch.nn.ModuleDict({name: torch.nn.Conv2d(3, 3, 3) for name in ("first", "second")})

        def forward(self, x):
            for part in self.parts.values():
                x = part(x)
            return x.mean((2, 3))

    model, inputs = Net(), framework.given(IMAGES)
    explainer = seewhy.Explainer(model, layer="second")
    explainer.heatmaps(inputs, 0)
    del model.parts["second"]
    with pytest.raises(LayerError, match=r"'parts\.second' is not part of the model any more.*Make another Explainer"):
        explainer.heatmaps(inputs, 0)
    assert seewhy.Explainer(model).heatmaps(inputs, 0).layer == "parts.first"


def test_a_softmax_removed_after_the_first_explanation():
    """By the activation of the last layer, which is a common way to explain logits elsewhere."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    explainer = seewhy.Explainer(model, score="probability")
    before = explainer.heatmaps(IMAGES, 0)
    model.layers[-1].activation = keras.activations.sigmoid
    found = explainer.heatmaps(IMAGES, 0)
    logits = keras.ops.convert_to_numpy(keras.ops.log(model(IMAGES) / (1 - model(IMAGES))))
    np.testing.assert_allclose(found.scores[:, 0], 1 / (1 + np.exp(-logits[:, 0])), rtol=1e-4)
    assert np.abs(found.scores - before.scores).max() > 0.01
