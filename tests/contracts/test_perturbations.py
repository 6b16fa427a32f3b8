"""Methods that run the model again, on the paper model, on every Keras backend.

Of the input, its logits are 9 x11 + 2 x12 - 4 x21 + x22 - 12 and -(x11 + x12 + x21 + x22), as its weights say.
"""

import numpy as np
import pytest
from tests.sample_models import PAPER_ACTIVATIONS, PAPER_INPUT, paper_sequential

from seewhy import Explainer, methods


def explain(name, inputs=PAPER_INPUT, batch_size=16, **options):
    explainer = Explainer(paper_sequential(), methods.get(name, **options), layer="conv", signed=True)
    return explainer.heatmaps(inputs, [0, 1], batch_size=batch_size).values


def test_score_cam_by_hand():
    """H^1 is [[0, 1/3], [2/3, 1]] and H^2 is 1 - H^1; with both masks and the baseline the logits are as here."""
    increases = np.array([[-8 / 3, 23 / 3], [-20 / 3, -10 / 3]])  # of class 0 and class 1, by A^1 and A^2
    weights = np.exp(increases) / np.exp(increases).sum(axis=1, keepdims=True)
    expected = np.einsum("tk,uvk->tuv", weights, PAPER_ACTIVATIONS)
    np.testing.assert_allclose(explain("scorecam")[0], expected, atol=1e-5)


def test_is_cam_by_hand():
    """The model is linear: the mean over half and full masks is three quarters of the increase."""
    increases = 0.75 * np.array([[-8 / 3, 23 / 3], [-20 / 3, -10 / 3]])
    weights = np.exp(increases) / np.exp(increases).sum(axis=1, keepdims=True)
    expected = np.einsum("tk,uvk->tuv", weights, PAPER_ACTIVATIONS)
    np.testing.assert_allclose(explain("iscam", steps=2)[0], expected, atol=1e-5)


def test_occlusion_by_hand():
    """Pixel by pixel, a covered pixel takes its own part of the logit away."""
    expected = [[[9, 4], [-12, 4]], [[-1, -2], [-3, -4]]]
    np.testing.assert_allclose(explain("occlusion", window=1)[0], expected, atol=1e-5)
    covered_by_2 = [[[9 - 18, 4 - 4], [-12 + 8, 4 - 2]], [[1, 0], [-1, -2]]]
    np.testing.assert_allclose(explain("occlusion", window=1, baseline=2)[0], covered_by_2, atol=1e-5)


def test_rise_of_a_linear_model():
    """Of a linear score sum_l w_l x_l and cells that are independent, centred RISE comes to (1 - p) w_l x_l.

    One cell for a pixel is enlarged to three pixels, of which two are kept: [a, (a + b) / 2], of variance p (1 - p)
    times [[1, 1/2], [1/2, 1/2]] along each axis.
    """
    mix = np.array([[1, 0], [0.5, 0.5]])
    parts = np.array([[[9, 4], [-12, 4]], [[-1, -2], [-3, -4]]])
    expected = 0.4 * np.einsum("ai,bj,ci,dj,tcd->tab", mix, mix, mix, mix, parts)
    found = explain("rise", masks=20_000, grid=2, p=0.6, batch_size=1000)[0]
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("name", ["scorecam", "sscam", "iscam", "occlusion", "rise"])
def test_a_batch_is_each_alone(name):
    options = {"rise": {"masks": 20}}.get(name, {})
    inputs = np.concatenate([PAPER_INPUT, 2 - PAPER_INPUT])
    together = explain(name, inputs, batch_size=3, **options)
    for n in (0, 1):
        np.testing.assert_allclose(together[n], explain(name, inputs[n : n + 1], **options)[0], atol=1e-4)


def test_ablation_cam_by_hand():
    """Without A^1 class 0 loses 9, without A^2 it gains 16; class 1 loses -10 and 0."""
    x = PAPER_INPUT[0, ..., 0]
    np.testing.assert_allclose(explain("ablationcam")[0], [25 * x - 48, -10 * x], atol=1e-5)


def test_recipro_cam_by_hand():
    """The positions' parts of the logits, and a quarter of each with an eighth and a sixteenth of its neighbours."""
    found = explain("recipro_cam", mask="point")[0]
    np.testing.assert_allclose(found, [[[-15, 4], [0, 4]], [[-1, -2], [-3, -4]]], atol=1e-5)
    expected = np.array([[-3, -0.375], [-1.125, 0.5625]])
    np.testing.assert_allclose(explain("recipro_cam")[0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(explain("recipro_cam", origin="lowest")[0, 0], expected + 3, atol=1e-5)
