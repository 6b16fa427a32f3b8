"""The model's input tapped as if it were a layer, and taps that leave the gradients out, on every framework."""

import numpy as np
from tests.contracts import reference
from tests.contracts.capturing import capture
from tests.sample_models import PAPER_ACTIVATIONS, PAPER_GRADIENTS, PAPER_INPUT, paper_sequential

from seewhy.frameworks import LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.targets import Class


def test_the_input_is_what_is_differentiated_by():
    """Of A^1 = x and A^2 = 3 - x, dy/dx is the first gradient less the second."""
    found = capture(paper_sequential(), LayerChoice(INPUT))
    np.testing.assert_array_equal(found.activations, PAPER_INPUT)
    np.testing.assert_array_equal(found.gradients[0, ..., 0], PAPER_GRADIENTS[..., 0] - PAPER_GRADIENTS[..., 1])
    assert found.layer == ""


def test_the_gradient_by_the_input_is_the_quotient_of_differences(framework):
    inputs = reference.images(2)
    found = capture(framework.plain(), LayerChoice(INPUT), Class((2, 0)), framework.given(inputs))
    shifted = inputs.copy()
    shifted[1, 5, 6, 2] += 0.05
    difference = reference.expected(shifted, (2, 0)).scores - reference.expected(inputs, (2, 0)).scores
    np.testing.assert_allclose(found.gradients[1, :, 5, 6, 2], difference[1] / 0.05, rtol=0.02)
    np.testing.assert_array_equal(found.activations, inputs)


def test_gradients_are_left_out_where_they_are_not_asked_for():
    for layer, activations in ((LayerChoice(INPUT), PAPER_INPUT), ("conv", PAPER_ACTIVATIONS[None])):
        found = capture(paper_sequential(), layer, derivatives="none")
        assert found.gradients is None
        np.testing.assert_array_equal(found.activations, activations)
        np.testing.assert_allclose(found.scores, capture(paper_sequential()).scores)
