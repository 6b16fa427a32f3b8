import numpy as np
import pytest
from tests.methods.captures import raw_heatmaps
from tests.methods.pooled_model import CHANNELS, PooledModel, Runner, make_image

from seewhy import methods
from seewhy.errors import OptionError

TARGETS = [2, 0]


class Rough(PooledModel):
    """A head whose gradients differ from place to place and from input to input."""

    def head(self, activations):
        places = activations.reshape(-1, CHANNELS)
        return np.tanh(places @ self.hidden / 2).sum(axis=0) @ self.dense / 5


def smooth(model, image, **options):
    runner = Runner(model, image, TARGETS)
    return methods.get("smoothgradcam++", **options)(model.capture(image, TARGETS), runner)


def by_hand(model, image, samples, sigma, seed):
    """The equations of arXiv 1908.01224, with the numerator of Grad-CAM++, in loops."""
    random, spread = np.random.default_rng(seed), sigma * (image.max() - image.min())
    copies = [image + spread * random.standard_normal(image.shape, dtype=np.float32) for _ in range(samples)]
    gradients = [model.capture(copy, TARGETS).gradients[0].astype(float) for copy in copies]
    activations = model.trunk(image.astype(float))
    heatmaps = np.zeros((2, 3, 4))
    for t in range(2):
        for k in range(CHANNELS):
            total, weight = sum(activations[i, j, k] for i, j in np.ndindex(3, 4)), 0
            for i, j in np.ndindex(3, 4):
                first, second, third = (sum(g[t, i, j, k] ** p for g in gradients) / samples for p in (1, 2, 3))
                if 2 * second + total * third > 0:
                    weight += second / (2 * second + total * third) * max(first, 0)
            heatmaps[t] += weight * activations[..., k]
    return heatmaps[None]


@pytest.mark.parametrize("rectified", [True, False])
def test_as_in_loops(rectified):
    model, image = Rough(rectified=rectified), make_image()
    found = smooth(model, image, samples=4, sigma=0.2, seed=7)
    np.testing.assert_allclose(found, by_hand(model, image, 4, 0.2, 7), atol=1e-5)


def test_without_noise_it_is_gradcampp():
    model, image = Rough(), make_image()
    capture = model.capture(image, TARGETS)
    expected = raw_heatmaps("gradcam++", capture.activations, capture.gradients)
    np.testing.assert_allclose(smooth(model, image, samples=3, sigma=0), expected, atol=1e-6)


def test_a_seed_gives_the_same_map_twice_and_another_seed_another():
    model, image = Rough(), make_image()
    first, second, third = (smooth(model, image, samples=3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-3 * np.abs(first).max()


def test_the_noise_scales_with_the_inputs_range():
    """A model that takes pixels a hundred times as large is given a hundred times the noise."""
    model, image = Rough(), make_image()
    larger = Rough()
    larger.mix /= 100
    found = smooth(larger, image * 100, samples=3)
    np.testing.assert_allclose(found, smooth(model, image, samples=3), rtol=1e-3, atol=1e-4)


def test_gradients_of_zero_give_zeros():
    model = Rough()
    model.dense[:] = 0
    np.testing.assert_array_equal(smooth(model, make_image(), samples=2), np.zeros((1, 2, 3, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples is 0; expected an integer, 1 or more"),
        ({"sigma": -0.1}, "sigma is -0.1; expected a fraction of the input's range"),
        ({"sigma": np.nan}, "sigma is nan"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        smooth(Rough(), make_image(), **options)
