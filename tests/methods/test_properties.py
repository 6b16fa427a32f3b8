"""Properties of the methods for any activations and gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.methods.captures import GRADIENT_METHODS, ONE_CAPTURE, drawn, raw_heatmaps

IMAGES, TARGETS, SPACE, CHANNELS = 2, 2, (2, 3), 4
HOMOGENEOUS = [name for name in GRADIENT_METHODS if name not in ("gradcam++", "refinecam")]

anything = settings(deadline=None, max_examples=40, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)
factors = st.floats(0.01, 100)


def numbers(*shape, least=-100.0):
    """Draw float64 arrays of any values that a model may have, many of them 0 or alike."""
    return arrays(np.float64, shape, elements=st.floats(least, 100, width=32, allow_subnormal=False))


activations_of_relu = numbers(IMAGES, *SPACE, CHANNELS, least=0)
any_activations = numbers(IMAGES, *SPACE, CHANNELS)
any_gradients = numbers(IMAGES, TARGETS, *SPACE, CHANNELS)
methods_of_a_capture = pytest.mark.parametrize("name", ONE_CAPTURE)


@methods_of_a_capture
@given(any_activations, any_gradients)
@anything
def test_raw_heatmaps_are_finite(name, activations, gradients):
    found = raw_heatmaps(name, activations, gradients)
    assert found.shape == (IMAGES, TARGETS, *SPACE)
    assert np.isfinite(found).all()


@methods_of_a_capture
def test_zeros_give_zeros(name):
    activations, gradients = drawn(relu=True)
    zeros = np.zeros((2, 3, 3, 4))
    np.testing.assert_array_equal(raw_heatmaps(name, 0 * activations, gradients), zeros)
    if name in GRADIENT_METHODS:
        np.testing.assert_array_equal(raw_heatmaps(name, activations, 0 * gradients), zeros)


@pytest.mark.parametrize("name", GRADIENT_METHODS)
@pytest.mark.parametrize("size", [1e-30, 1e15])
def test_very_small_and_very_large_gradients_are_not_lost(name, size):
    """In float32, where squares and cubes of either would be: it is as if all but the unit were the same."""
    activations, gradients = drawn(relu=True, dtype=np.float32)
    unit = np.float32(1 / size)
    found = raw_heatmaps(name, activations * unit, gradients * np.float32(size))
    expected = raw_heatmaps(name, activations, gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "where"),
    [(name, "activations") for name in ONE_CAPTURE] + [(name, "gradients") for name in GRADIENT_METHODS],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_values_that_are_not_finite_are_not_hidden(name, where, value):
    """The explainer refuses it, by the image it is in; it must get there, and the other image must stay as it was."""
    activations, gradients = drawn(relu=True)
    gradients = np.abs(gradients)
    expected = raw_heatmaps(name, activations, gradients)
    {"activations": activations[1, 0], "gradients": gradients[1, 0, 0]}[where][:] = value
    found = raw_heatmaps(name, activations, gradients)
    np.testing.assert_array_equal(found[0], expected[0])
    assert not np.isfinite(found[1, 0]).all()


@methods_of_a_capture
@given(seeds)
@anything
def test_the_order_of_channels_does_not_matter(name, seed):
    activations, gradients = drawn(seed, channels=8)
    order = np.random.default_rng(seed).permutation(8)
    shuffled = raw_heatmaps(name, activations[..., order], gradients[..., order])
    np.testing.assert_allclose(shuffled, raw_heatmaps(name, activations, gradients), atol=1e-9)


@methods_of_a_capture
@given(seeds)
@anything
def test_raw_heatmaps_are_equivariant_to_positions(name, seed):
    activations, gradients = drawn(seed, space=(12,))
    order = np.random.default_rng(seed).permutation(12)
    shuffled = raw_heatmaps(name, activations[:, order], gradients[:, :, order])
    np.testing.assert_allclose(shuffled, raw_heatmaps(name, activations, gradients)[..., order], atol=1e-9)


@methods_of_a_capture
@given(any_activations, any_gradients)
@anything
def test_a_batch_is_its_members(name, activations, gradients):
    found = raw_heatmaps(name, activations, gradients)
    for n in range(IMAGES):
        for t in range(TARGETS):
            alone = raw_heatmaps(name, activations[n : n + 1], gradients[n : n + 1, t : t + 1])
            np.testing.assert_allclose(found[n, t], alone[0, 0], rtol=1e-9, atol=1e-9)


@given(activations_of_relu, numbers(IMAGES, TARGETS, 1, 1, CHANNELS))
@anything
def test_after_pooling_and_a_linear_layer_three_methods_are_one(activations, slopes):
    """Gradients are alike everywhere, and any mean of them is the same."""
    gradients = np.broadcast_to(slopes, (IMAGES, TARGETS, *SPACE, CHANNELS))
    expected = raw_heatmaps("hirescam", activations, gradients)
    for name in ("gradcam", "xgradcam"):
        np.testing.assert_allclose(raw_heatmaps(name, activations, gradients), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["gradcam", "hirescam", "xgradcam"])
@given(activations_of_relu, any_gradients, any_gradients, st.floats(-3, 3), st.floats(-3, 3))
@anything
def test_raw_heatmaps_are_linear_in_the_target(name, activations, one, other, a, b):
    """The map of a difference of two classes is the difference of their maps."""
    found = raw_heatmaps(name, activations, a * one + b * other)
    expected = a * raw_heatmaps(name, activations, one) + b * raw_heatmaps(name, activations, other)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@given(seeds)
@anything
def test_eigengradcam_of_the_negated_target_is_negated(seed):
    activations, gradients = drawn(seed)
    found = raw_heatmaps("eigengradcam", activations, -gradients)
    np.testing.assert_allclose(found, -raw_heatmaps("eigengradcam", activations, gradients), atol=1e-9)


@given(activations_of_relu, any_gradients)
@anything
def test_after_a_relu_elementwise_is_layercam_and_no_less_than_hirescam(activations, gradients):
    found = raw_heatmaps("elementwise", activations, gradients)
    np.testing.assert_allclose(found, raw_heatmaps("layercam", activations, gradients), rtol=1e-9)
    assert (found >= raw_heatmaps("hirescam", activations, gradients) - 1e-9).all()


@pytest.mark.parametrize("name", HOMOGENEOUS)
@given(seeds, factors)
@anything
def test_raw_heatmaps_are_in_units_of_the_score(name, seed, factor):
    activations, gradients = drawn(seed)
    expected = factor * raw_heatmaps(name, activations, gradients)
    np.testing.assert_allclose(raw_heatmaps(name, activations, factor * gradients), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", GRADIENT_METHODS)
@given(seeds, factors)
@anything
def test_the_unit_of_the_activations_does_not_matter(name, seed, factor):
    """Scaling the activations up scales their gradients down."""
    activations, gradients = drawn(seed, relu=True)
    expected = raw_heatmaps(name, activations, gradients)
    np.testing.assert_allclose(
        raw_heatmaps(name, factor * activations, gradients / factor), expected, rtol=1e-6, atol=1e-9
    )


@given(activations_of_relu, any_gradients)
@anything
def test_weights_of_gradcampp_are_at_most_half_the_positive_gradients(activations, gradients):
    """Its alpha is at most 1/2 after a ReLU, and never negative."""
    found = raw_heatmaps("gradcam++", activations, gradients)
    positive = np.maximum(gradients, 0).sum(axis=(2, 3), keepdims=True) / 2
    assert (found >= 0).all()
    assert (found <= (positive * activations[:, None]).sum(axis=-1) * (1 + 1e-9)).all()


@given(seeds, factors)
@anything
def test_eigencam_is_in_units_of_the_activations_and_positive_after_a_relu(seed, factor):
    activations, gradients = drawn(seed, relu=True)
    found = raw_heatmaps("eigencam", activations, gradients)
    assert (found >= -1e-12).all()
    np.testing.assert_allclose(raw_heatmaps("eigencam", factor * activations, gradients), factor * found, rtol=1e-6)


@given(any_activations, any_gradients)
@anything
def test_eigencam_sums_to_no_less_than_zero_and_kpcacam_to_zero(activations, gradients):
    assert (raw_heatmaps("eigencam", activations, gradients).sum(axis=(2, 3)) >= -1e-6).all()
    np.testing.assert_allclose(raw_heatmaps("kpcacam", activations, gradients).sum(axis=(2, 3)), 0, atol=1e-6)


@pytest.mark.parametrize("name", ["eigencam", "kpcacam"])
@given(seeds)
@anything
def test_activation_methods_give_every_target_the_same_heatmap(name, seed):
    activations, gradients = drawn(seed)
    found = raw_heatmaps(name, activations, gradients)
    assert (found == found[:, :1]).all()


@given(seeds, st.floats(1.5, 10))
@anything
def test_kpcacam_is_positive_at_a_position_that_stands_out(seed, height):
    activations, gradients = drawn(seed, images=1, channels=3, relu=True)
    activations[0, 1, 2] += 10 * height
    for kernel in ("rbf", "sigmoid"):
        found = raw_heatmaps("kpcacam", activations * 0.1, gradients, kernel=kernel)
        assert found[0, 0, 1, 2] > 0
