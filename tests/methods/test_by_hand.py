"""Every method that needs one capture, against the papers' equations in loops, in every namespace."""

import numpy as np
import pytest
from tests.methods import by_hand
from tests.methods.captures import NAMESPACES, ONE_CAPTURE, drawn, raw_heatmaps
from tests.sample_models import PAPER_ACTIVATIONS, PAPER_GRADCAM, PAPER_GRADIENTS, PAPER_HIRESCAM


def expected(activations, gradients, name, **options):
    function = by_hand.BY_HAND[name]
    return np.array(
        [
            [function(activations[n].astype(float), gradients[n, t].astype(float), **options) for t in range(3)]
            for n in range(2)
        ]
    )


def test_none_is_missing():
    assert set(by_hand.BY_HAND) == set(ONE_CAPTURE)


@pytest.mark.parametrize(("name", "heatmaps"), [("gradcam", PAPER_GRADCAM), ("hirescam", PAPER_HIRESCAM)])
def test_the_paper_model(name, heatmaps):
    found = raw_heatmaps(name, PAPER_ACTIVATIONS[None], PAPER_GRADIENTS[None])
    np.testing.assert_array_equal(np.maximum(found, 0), heatmaps[None])


def test_the_paper_model_class_0():
    """By hand, with A^1 = [1 2; 3 4] and A^2 = [2 1; 0 -1], whose sums are 10 and 2; gradients as models.py has them.

    Grad-CAM++: alphas 1/(2 + 10 * 1) = 1/12 twice and 1/22, so w_1 = 1/12 + 2/22 + 1/12 = 17/66; and 1/(2 + 2 * 4), so
    w_2 = 4/10. LayerCAM: [1 1; 0 1] A^1 and [0 0; 4 0] A^2, where the gradient 2 doubles A^1's second.
    """
    first, second = PAPER_ACTIVATIONS[..., 0], PAPER_ACTIVATIONS[..., 1]
    found = {
        name: raw_heatmaps(name, PAPER_ACTIVATIONS[None], PAPER_GRADIENTS[None])[0, 0]
        for name in ("gradcam++", "xgradcam", "layercam", "elementwise")
    }
    np.testing.assert_allclose(found["gradcam++"], 17 / 66 * first + 4 / 10 * second, rtol=1e-6)
    np.testing.assert_allclose(found["xgradcam"], (1 + 4 + 4) / 10 * first - 16 / 2 * second, rtol=1e-6)
    np.testing.assert_array_equal(found["layercam"], [[1, 4], [0, 4]])
    np.testing.assert_array_equal(found["elementwise"], [[1, 4], [0, 4]])


@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("relu", [False, True], ids=["signed", "relu"])
@pytest.mark.parametrize("name", ONE_CAPTURE)
def test_every_image_and_target(name, relu, xp):
    activations, gradients = drawn(relu=relu)
    found = raw_heatmaps(name, activations, gradients, xp)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected(activations, gradients, name), atol=1e-9)


@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("name", ONE_CAPTURE)
def test_single_precision(name, xp):
    activations, gradients = drawn(seed=1, dtype=np.float32, relu=True)
    found = raw_heatmaps(name, activations, gradients, xp)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(activations, gradients, name), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["eigencam", "eigengradcam"])
def test_more_positions_than_channels_and_the_reverse(name):
    """Either side of the matrix may be the smaller one."""
    for channels in (2, 30):
        activations, gradients = drawn(seed=2, channels=channels)
        np.testing.assert_allclose(
            raw_heatmaps(name, activations, gradients), expected(activations, gradients, name), atol=1e-9
        )


@pytest.mark.parametrize("kernel", ["rbf", "sigmoid"])
def test_kernels(kernel):
    activations, gradients = drawn(seed=3, relu=True)
    for gamma in (None, 0.7):
        np.testing.assert_allclose(
            raw_heatmaps("kpcacam", activations, gradients, kernel=kernel, gamma=gamma),
            expected(activations, gradients, "kpcacam", kernel=kernel, gamma=gamma),
            atol=1e-9,
        )
