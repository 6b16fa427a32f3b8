"""Traced functions that are called by the operation that calls them inside a graph."""

import numpy as np
import pytest
import tensorflow as tf

from seewhy.frameworks.tensorflow.direct_call import direct_call

SPECS = (tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((None, None), tf.int32))


def test_a_call_returns_what_the_function_returns_also_after_weights_were_assigned():
    weights = tf.Variable([1.0, 2.0, 3.0])

    def compute(values, indices):
        return {"b": values * weights, "none": None, "a": [indices + 1, (tf.shape(values) + 1,)]}

    function = tf.function(compute).get_concrete_function(*SPECS)
    call = direct_call(function)
    assert call is not function
    for factor in (1, 5):
        weights.assign(factor * weights)
        for rows in (1, 4):
            given = (tf.ones((rows, 3)), tf.zeros((2, 2), tf.int32))
            found, expected = call(*given), function(*given)
            assert found["none"] is None
            assert list(found) == list(expected)
            np.testing.assert_array_equal(found["b"], expected["b"])
            np.testing.assert_array_equal(found["b"], np.tile(factor * np.array([1, 2, 3], np.float32), (rows, 1)))
            np.testing.assert_array_equal(found["a"][0], np.ones((2, 2)))
            np.testing.assert_array_equal(found["a"][1][0], [rows + 1, 4])


def test_what_a_call_captures_when_it_is_made_is_read_anew():
    """As for the variables of a strategy with replicas."""
    value = [1.0]

    def compute(values):
        graph = tf.compat.v1.get_default_graph()
        return values * graph.capture_call_time_value(lambda: tf.constant(value[0]), tf.TensorSpec((), tf.float32))

    call = direct_call(tf.function(compute).get_concrete_function(SPECS[0]))
    for value[0] in (2.0, 7.0):
        np.testing.assert_array_equal(call(tf.ones((1, 3))), np.full((1, 3), value[0]))


def test_an_error_in_the_graph_is_one_of_tensorflow():
    def compute(values):
        return tf.reshape(values, (2, 3))

    call = direct_call(tf.function(compute).get_concrete_function(SPECS[0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        call(tf.ones((3, 3)))


@pytest.mark.parametrize(
    ("compute", "spec"),
    [
        (lambda values: values["a"], {"a": SPECS[0]}),
        (lambda _: None, SPECS[0]),
        (lambda values: (values, tf.identity(tf.shape(values))), SPECS[0]),
    ],
    ids=["structure", "nothing to return", "shape"],
)
def test_other_functions_are_called_as_they_are(compute, spec):
    function = tf.function(compute).get_concrete_function(spec)
    assert direct_call(function) is function
