"""A final softmax inside a rematerialized layer or a function with a derivative of its own, on every Keras backend."""

import functools
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

import seewhy
from seewhy.attribution.checks import look_like_probabilities
from seewhy.errors import SeewhyWarning

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)


class Dense(layers.Layer):
    """A dense layer whose logits `finish` turns into outputs."""

    def __init__(self, finish):
        super().__init__()
        self.dense, self.finish = layers.Dense(3), finish

    def build(self, shape):
        self.dense.build(shape)

    def call(self, values):
        return self.finish(self.dense, values)

    def compute_output_shape(self, shape):
        return (shape[0], 3)


@ops.custom_gradient
def softmax_with_a_derivative(logits):
    probabilities = ops.softmax(logits)

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        return probabilities * (upstream - ops.sum(upstream * probabilities, axis=-1, keepdims=True))

    return probabilities, gradient


HEADS = {
    "custom gradient": lambda dense, values: softmax_with_a_derivative(dense(values)),
    "rematerialized function": lambda dense, values: keras.remat(lambda x: ops.softmax(dense(x)))(values),
}


def model_of(head=None):
    """Build a classifier that ends in this head, or in a plain dense layer with a softmax; with fixed weights."""
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(image)
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="second")(x))
    end = layers.Dense(3, activation="softmax", name="end") if head is None else Dense(head)
    model = keras.Model(image, end(x))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape).astype(np.float32) for weight in model.weights])
    return model


@functools.cache
def plain():
    """Build the plain classifier, and share what is compiled for it."""
    return seewhy.Classifier(model_of())


def check_like_plain(model, layers_, methods=("gradcam", "ablationcam")):
    """Check that the model is explained like the plain one: its logits, and the same heatmaps."""
    for layer in layers_:
        for method in methods:
            ours, theirs = (
                seewhy.Explainer(each, method, layer=layer).heatmaps(IMAGES, [0, 2]) for each in (model, plain())
            )
            np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4)
            np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-3, atol=1e-5 * theirs.values.max())
            assert not look_like_probabilities(ours.scores)


@pytest.mark.parametrize("head", HEADS)
def test_a_softmax_inside_a_function_is_bypassed(head):
    check_like_plain(model_of(HEADS[head]), ["first"])


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("full", {}),
        ("activations", {}),
        ("larger_than", {"output_size_threshold": 1}),
        ("list_of_layers", {"layer_names": ["second", "end"]}),
    ],
)
def test_layers_that_are_rematerialized(mode, options):
    with keras.RematScope(mode, **options):
        model = model_of()
    check_like_plain(model, ["first", "second"], ["gradcam"])


def test_a_nested_model_that_is_rematerialized_as_a_whole():
    with keras.RematScope("full"):
        image = keras.Input((6, 6, 2))
        whole = model_of()
        model = keras.Model(image, whole(image))
    check_like_plain(model, ["second"], ["gradcam", "guided_backprop"])
    scope = [vars(layer).get("rematerialized_call") for layer in (model, whole, *whole.layers)]
    assert scope == [None] * len(scope)  # the model is as it was


def averaged(dense, values):
    """Average the probabilities of two scales: no softmax is the last operation."""
    return (ops.softmax(dense(values)) + ops.softmax(dense(values) / 2)) / 2


UNSEEN = {
    "average of two": averaged,
    "logarithm": lambda dense, values: ops.log(averaged(dense, values)),
    "two from a sigmoid": lambda dense, values: ops.concatenate(
        [ops.sigmoid(dense(values)[:, :1] / 20), ops.sigmoid(-dense(values)[:, :1] / 20)], axis=-1
    ),
}


@pytest.mark.parametrize("head", UNSEEN)
def test_probabilities_explained_as_logits_are_warned_of_once(head):
    explainer = seewhy.Explainer(model_of(UNSEEN[head]), layer="first")
    with pytest.warns(SeewhyWarning, match="they sum to one for every image.*score='probability'"):
        explainer.heatmaps(IMAGES, [0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.heatmaps(IMAGES, [1])
        seewhy.Explainer(model_of(UNSEEN[head]), layer="first", score="probability").heatmaps(IMAGES, [0])


@pytest.mark.parametrize(
    "head",
    [
        lambda dense, values: dense(values),
        lambda dense, values: ops.sigmoid(dense(values)),  # a label each
        lambda dense, values: ops.relu(dense(values)),
        lambda dense, values: ops.clip(dense(values), 0, 0.9),
        lambda dense, values: ops.softmax(dense(values)),
    ],
)
def test_ordinary_outputs_are_not_warned_of(head):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seewhy.Explainer(model_of(head), layer="first").heatmaps(IMAGES, [0])


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (np.array([[0.2, 0.8], [0.5, 0.5]], np.float32), True),
        (np.array([[0.2, 0.8], [0.5, 0.4]], np.float32), False),
        (np.array([[1.2, -0.2], [0.5, 0.5]], np.float32), False),
        (np.log(np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)), True),
        (np.array([[1.0], [1.0]], np.float32), False),  # a single unit, however sure
        (np.array([[1, 0], [0, 1]]), False),  # whole numbers
        (np.array([[0.2, 0.7998]], np.float16), True),
        (np.full((1, 4, 4, 2), 0.5, np.float32), True),  # classes last
        (np.full((1, 2, 4, 5), 0.5, np.float32), True),  # classes first
        (np.full((1, 4, 4, 3), 0.5, np.float32), False),
        ({"a": np.array([[0.2, 0.8]], np.float32)}, False),
    ],
)
def test_what_looks_like_probabilities(outputs, expected):
    assert look_like_probabilities(outputs) is expected
