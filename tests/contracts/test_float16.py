"""Gradients in float16 neither vanish nor overflow: heatmaps are those of float32, up to float16's own rounding."""

import functools

import numpy as np
import pytest
from tests.contracts.reference import CLASSES, images

import seewhy
from seewhy.errors import SeewhyWarning

ALL = list(range(CLASSES))


def agree(narrow, wide, tolerance=0.03):
    """Compare each map with its own maximum: they differ by many orders of magnitude."""
    np.testing.assert_array_equal(narrow.has_evidence, wide.has_evidence)
    for found, expected in zip(
        narrow.values.reshape(-1, *narrow.values.shape[2:]),
        wide.values.reshape(-1, *wide.values.shape[2:]),
        strict=True,
    ):
        largest = np.abs(expected).max()
        assert largest > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * largest)


@functools.cache
def classifier_of(framework, name, scale):
    """Build a classifier in a type, which tests share, and with it what is compiled."""
    return seewhy.Classifier(framework.in_type(name, scale))


def both(framework, name, method, score="logit", scale=1.0, selected=ALL):
    """Return the heatmaps of a model in a narrow type, and those of the same model in float32."""
    inputs = framework.given(images() * np.array([1, 2, 0.5], np.float32)[:, None, None, None])
    return [
        seewhy.Explainer(classifier_of(framework, each, scale), method, "features", score, signed=True).heatmaps(
            inputs, selected
        )
        for each in (name, "float32")
    ]


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "saliency"])
def test_probabilities_near_zero_and_one(framework, method):
    """Of each image, of every class: their derivatives are from 1 down to 1e-9, and float16 ends at 6e-8."""
    narrow, wide = both(framework, "float16", method, "probability", scale=12.0)
    assert wide.scores.min() < 1e-8
    agree(narrow, wide, 0.15)


def test_guided_backpropagation_of_probabilities(framework):
    """Rounding switches single ReLUs, so single pixels differ."""
    narrow, wide = both(framework, "float16", "guided_backprop", "probability", scale=12.0)
    for found, expected in zip(narrow.values.reshape(12, -1), wide.values.reshape(12, -1), strict=True):
        assert np.corrcoef(found, expected)[0, 1] > 0.95
        assert 0.8 < np.linalg.norm(found) / np.linalg.norm(expected) < 1.25


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_logits_in_a_narrow_type(framework, name):
    agree(*both(framework, name, "gradcam"), 0.03 if name == "float16" else 0.1)


def test_many_classes_at_once(framework):
    agree(*both(framework, "float16", "gradcam", "probability", scale=12.0, selected=ALL * 9), 0.15)


@pytest.mark.parametrize("scale", [2000.0, 1e-4])
def test_weights_at_the_ends_of_float16(framework, scale):
    """Scores are linear in the last weights, and so are heatmaps."""
    agree(*both(framework, "float16", "gradcam", scale=scale), 0.05)


def test_no_evidence_is_still_said(framework):
    """A heatmap is all zeros only where float32 has no positive value either."""
    narrow, wide = both(framework, "float16", "gradcam", "probability", scale=12.0)
    np.testing.assert_array_equal(narrow.has_evidence, wide.has_evidence)
    assert wide.has_evidence.any()


def test_a_probability_that_is_one_to_the_last_digit_is_warned_of(framework):
    inputs = framework.given(images(1))
    explainer = seewhy.Explainer(framework.plain(scale=5000), layer="features", score="probability")
    with pytest.warns(SeewhyWarning, match="is 1 up to rounding, and its gradient 0"):
        found = explainer.heatmaps(inputs, "top-1")
    assert not found.has_evidence.any()
    assert seewhy.Explainer(framework.plain(scale=5000), layer="features").heatmaps(inputs, "top-1").has_evidence.all()
