"""What is explained: the final activation is seen through however it is written, on every Keras backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts.capturing import capture
from tests.sample_models import (
    PAPER_ACTIVATIONS,
    PAPER_GRADIENTS,
    PAPER_LOGITS,
    paper,
    paper_layers,
    paper_sequential,
)

from seewhy.errors import OptionError
from seewhy.targets import Class, TopK, resolve


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def nested_head():
    image = keras.Input((2,))
    return keras.Model(image, layers.Softmax()(image))


SOFTMAX_ENDINGS = {
    "argument": paper_sequential,
    "activation layer": lambda: paper(layers.Activation("softmax")),
    "softmax layer": lambda: paper(layers.Softmax()),
    "keras.ops": lambda: paper(ops.softmax),
    "keras.activations": lambda: paper(keras.activations.softmax),
    "in a nested model": lambda: paper(nested_head()),
    "then reshaped": lambda: paper(lambda x: layers.Reshape((2,))(layers.Reshape((1, 2))(layers.Softmax()(x)))),
    "then cast": lambda: paper(lambda x: ops.cast(ops.cast(layers.Softmax()(x), "float16"), "float32")),
    "then dropout": lambda: paper(lambda x: layers.Dropout(0.5)(layers.Softmax()(x))),
    "log-softmax": lambda: paper(layers.Activation("log_softmax")),
    "none: plain logits": lambda: paper(lambda x: x),
}


@pytest.mark.parametrize("ending", SOFTMAX_ENDINGS)
def test_the_paper_model_however_it_ends(ending):
    captured = capture(SOFTMAX_ENDINGS[ending](), layer="conv")
    np.testing.assert_array_equal(captured.activations, PAPER_ACTIVATIONS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.probabilities, softmax(PAPER_LOGITS)[None], rtol=1e-5)
    np.testing.assert_array_equal(captured.indices, [[0, 1]])


@pytest.mark.parametrize("axis", [-1, 1])
def test_a_softmax_over_another_axis_than_the_classes_is_not_seen_through(axis):
    """Two softmaxes of two values each, side by side, are no softmax of four classes: there are no logits for them."""

    def ending(logits):
        two = layers.Reshape((2, 2))(layers.Concatenate()([logits, 2 * logits]))  # in rows, or in columns
        return layers.Reshape((4,))(layers.Softmax(axis)(two))

    captured = capture(paper(ending), layer="conv")
    rows = np.stack([PAPER_LOGITS, 2 * PAPER_LOGITS])
    expected = softmax(rows) if axis == -1 else softmax(rows.T).T
    np.testing.assert_allclose(captured.outputs, expected.reshape(1, 4), rtol=1e-4)
    np.testing.assert_allclose(captured.scores, expected.reshape(1, 4)[:, :2], rtol=1e-4)


def constant(values):
    """A layer whose outputs are these, whatever is given."""
    bias = keras.initializers.Constant(np.array(values))
    return layers.Dense(2, kernel_initializer="zeros", bias_initializer=bias, name="last")


PROBABILITIES = {
    "logits that sum to 1": (constant([0.25, 0.75]), softmax(np.array([0.25, 0.75]))),
    "a mean of softmaxes": (
        lambda x: ops.mean(ops.stack([ops.softmax(x), ops.softmax(2 * x)]), axis=0),
        (softmax(PAPER_LOGITS) + softmax(2 * PAPER_LOGITS)) / 2,
    ),
    "classes in other groups": (
        lambda x: layers.Dense(2, use_bias=False, kernel_initializer="identity", name="last")(ops.softmax(x)),
        softmax(PAPER_LOGITS),
    ),
}


@pytest.mark.parametrize("ending", PROBABILITIES)
def test_the_last_operation_tells_logits_from_probabilities(ending):
    end, expected = PROBABILITIES[ending]
    captured = capture(paper(end), layer="conv")
    np.testing.assert_allclose(captured.probabilities, expected[None], rtol=1e-5)


def test_probabilities_on_request():
    """The softmax's own derivative, by hand: dp_0/dA = p_0 (1 - p_0) (dy_0/dA - dy_1/dA)."""
    captured = capture(paper_sequential(), score="probability")
    p = softmax(PAPER_LOGITS)
    np.testing.assert_allclose(captured.scores, p[None], rtol=1e-5)
    expected = p[0] * p[1] * (PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1])
    np.testing.assert_allclose(captured.gradients[0, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(captured.gradients[0, 1], -expected, rtol=1e-4)


def test_many_sigmoids_are_many_logits():
    captured = capture(paper(layers.Activation("sigmoid")))
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.probabilities, 1 / (1 + np.exp(-PAPER_LOGITS))[None], rtol=1e-5)


def one_unit(activation):
    image = keras.Input((2, 2, 1))
    convolution, flatten, _ = paper_layers()
    dense = layers.Dense(1, activation=activation)
    model = keras.Model(image, dense(flatten(convolution(image))))
    convolution.set_weights([np.array([1, -1], np.float32).reshape(1, 1, 1, 2), np.array([0, 3], np.float32)])
    dense.set_weights([PAPER_GRADIENTS[0].reshape(8, 1), np.zeros(1, np.float32)])
    return model


def test_a_single_sigmoid_is_two_classes():
    captured = capture(one_unit("sigmoid"))
    np.testing.assert_allclose(captured.scores, [[7, -7]])  # class 0 is the negated logit
    np.testing.assert_allclose(captured.gradients[0, 1], PAPER_GRADIENTS[0], atol=1e-6)
    np.testing.assert_allclose(captured.gradients[0, 0], -PAPER_GRADIENTS[0], atol=1e-6)
    p = 1 / (1 + np.exp(7))
    np.testing.assert_allclose(captured.probabilities, [[1 - p, p]], rtol=1e-5)
    np.testing.assert_array_equal(captured.outputs.shape, (1, 1))


def test_a_single_plain_unit_is_a_regression():
    captured = capture(one_unit(None), target=Class((0,)))
    np.testing.assert_allclose(captured.scores, [[-7]])
    assert captured.probabilities is None
    with pytest.raises(OptionError, match="score='probability' needs class scores, which the model's outputs are not"):
        capture(one_unit(None), target=Class((0,)), score="probability")


def test_a_saturated_softmax_still_has_gradients():
    model = paper_sequential()
    model.layers[-1].set_weights([1000 * PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])
    captured = capture(model)
    np.testing.assert_allclose(captured.gradients, 1000 * PAPER_GRADIENTS[None], rtol=1e-5)
    assert captured.probabilities[0, 0] == 1


def test_outputs_that_are_probabilities_already_are_reported_as_they_are():
    """A mean of two softmaxes has no logits."""
    captured = capture(paper(lambda x: (ops.softmax(x) + ops.softmax(2 * x)) / 2))
    np.testing.assert_allclose(captured.probabilities, captured.outputs, rtol=1e-5)
    np.testing.assert_allclose(captured.scores, captured.outputs, rtol=1e-5)


def test_targets_of_every_kind_have_the_same_gradients():
    by_top = capture(paper_sequential(), target=TopK(2))  # the logits are -7 and -10: in order
    by_function = capture(paper_sequential(), target=resolve(lambda logits: logits, int))
    mixed = capture(paper_sequential(), target=resolve(["top-1", 1], int))
    for captured in (by_top, by_function, mixed):
        np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_array_equal(by_function.indices, [[-1, -1]])
    difference = capture(paper_sequential(), target=resolve(lambda logits: logits[:, 0] - logits[:, 1], int))
    np.testing.assert_allclose(difference.gradients[:, 0], (PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1])[None], atol=1e-6)
    assert difference.scores.shape == (1, 1)
