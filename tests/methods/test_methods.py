import array_api_compat.numpy as xnp
import keras
import numpy as np
import pytest
from tests.networks import PAPER_ACTIVATIONS, PAPER_GRADCAM, PAPER_GRADIENTS, PAPER_HIRESCAM

from seewhy import methods
from seewhy.errors import MethodError
from seewhy.types import Capture

GRADIENTS = [name for name, method in methods.METHODS.items() if method.at == "layer" and method.backward == "plain"]


def capture(activations, gradients, xp=xnp):
    """Make a capture of arrays; the methods read no more than these two."""
    return Capture(activations, gradients, None, None, None, None, "layer", xp)


def gradcam_by_hand(activations, gradients):
    """Equations 1 and 2 of arXiv 1610.02391 in loops, for one image and one target."""
    u, v, channels = activations.shape
    heatmap = np.zeros((u, v))
    for k in range(channels):
        alpha = sum(gradients[i, j, k] for i in range(u) for j in range(v)) / (u * v)
        for i in range(u):
            for j in range(v):
                heatmap[i, j] += alpha * activations[i, j, k]
    return heatmap


def hirescam_by_hand(activations, gradients):
    """Section 3.3 of arXiv 2011.08891 in loops, for one image and one target."""
    u, v, channels = activations.shape
    heatmap = np.zeros((u, v))
    for i in range(u):
        for j in range(v):
            heatmap[i, j] = sum(gradients[i, j, k] * activations[i, j, k] for k in range(channels))
    return heatmap


@pytest.mark.parametrize(("name", "expected"), [("gradcam", PAPER_GRADCAM), ("hirescam", PAPER_HIRESCAM)])
def test_the_paper_network_by_hand(name, expected):
    found = methods.get(name)(capture(PAPER_ACTIVATIONS[None], PAPER_GRADIENTS[None]))
    np.testing.assert_array_equal(np.maximum(found, 0), expected[None])


@pytest.mark.parametrize("xp", [xnp, keras.ops], ids=["numpy", "keras"])
@pytest.mark.parametrize(("name", "by_hand"), [("gradcam", gradcam_by_hand), ("hirescam", hirescam_by_hand)])
def test_every_image_and_target_as_in_loops(name, by_hand, xp):
    random = np.random.default_rng(0)
    activations = random.normal(size=(3, 4, 5, 6)).astype(np.float32)
    gradients = random.normal(size=(3, 2, 4, 5, 6)).astype(np.float32)
    found = np.asarray(
        methods.get(name)(
            capture(
                xp.asarray(activations) if xp is xnp else xp.array(activations),
                xp.asarray(gradients) if xp is xnp else xp.array(gradients),
                xp,
            )
        )
    )
    assert found.shape == (3, 2, 4, 5)
    for n in range(3):
        for t in range(2):
            np.testing.assert_allclose(found[n, t], by_hand(activations[n], gradients[n, t]), atol=1e-6)


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("space", [(7,), (2, 3, 4)], ids=["signal", "volume"])
def test_any_number_of_dimensions(name, space):
    random = np.random.default_rng(1)
    activations, gradients = random.normal(size=(2, *space, 3)), random.normal(size=(2, 4, *space, 3))
    found = methods.get(name)(capture(activations, gradients))
    flat = methods.get(name)(capture(activations.reshape(2, -1, 1, 3), gradients.reshape(2, 4, -1, 1, 3)))
    np.testing.assert_allclose(found.reshape(2, 4, -1), flat[..., 0], atol=1e-12)


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_order_of_channels_means_nothing(name):
    random = np.random.default_rng(2)
    activations, gradients = random.normal(size=(1, 3, 3, 8)), random.normal(size=(1, 2, 3, 3, 8))
    order = random.permutation(8)
    shuffled = methods.get(name)(capture(activations[..., order], gradients[..., order]))
    np.testing.assert_allclose(shuffled, methods.get(name)(capture(activations, gradients)), atol=1e-12)


def test_gradients_alike_everywhere_make_both_methods_one():
    """After global average pooling dy/dA is the same at every position, and averaging it changes nothing."""
    random = np.random.default_rng(3)
    activations = random.normal(size=(1, 4, 4, 5))
    gradients = np.broadcast_to(random.normal(size=(1, 2, 1, 1, 5)), (1, 2, 4, 4, 5))
    both = [methods.get(name)(capture(activations, gradients)) for name in ("gradcam", "hirescam")]
    np.testing.assert_allclose(*both, atol=1e-12)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(MethodError, match=r"'grad-cam'. Did you mean 'gradcam' or .*\? Known: gradcam, hires"):
        methods.get("grad-cam")
