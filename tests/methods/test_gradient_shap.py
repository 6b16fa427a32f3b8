"""Gradient SHAP, on scores of one pixel whose expected gradients are known."""

import numpy as np
import pytest
from tests.methods.captures import capture

from seewhy import methods


class Pixels:
    """Runs a score that is a sum over pixels and channels, of which only the derivative is needed."""

    def __init__(self, image, derivative):
        self.inputs, self.derivative, self.points = np.array(image, np.float32), derivative, []

    def captures(self, perturbations, count, *, level="layer", gradient_rule="plain"):
        assert (level, gradient_rule) == ("input", "plain")
        for _, point in zip(range(count), perturbations, strict=True):
            self.points.append(point)
            yield capture(point[None], self.derivative(point)[None, None])


def explain(image, derivative, **options):
    runner = Pixels(image, derivative)
    return methods.get("gradient_shap", **options)(
        capture(runner.inputs[None], runner.inputs[None, None]), runner
    ), runner


def square(x):
    """Return the derivative of x^2 / 2."""
    return x


TWO = np.array([[[0.0]], [[1.0]]])  # of one pixel each
IMAGE = [[3.0]]


def test_a_linear_score_gives_its_weights_times_the_mean_difference():
    """3 x of the pixel 5 and baselines 1 and 2: every sample is 12 or 9, wherever its point lies."""
    found, runner = explain([[5.0]], lambda x: 3 + 0 * x, baselines=np.array([[[1.0]], [[2.0]]]), samples=40)
    share = (found[0, 0, 0] - 9) / 3
    assert 0.2 < share < 0.8
    assert abs(share * 40 - round(share * 40)) < 1e-4
    assert len({float(point[0, 0]) for point in runner.points}) == 40


def test_it_is_complete_on_average():
    """Of x^2 / 2 at 3, less its mean at 0 and 1: 4.5 - 0.25. A sample is 9 a, or 2 (1 + 2 a), of variance below 7."""
    found, _ = explain(IMAGE, square, baselines=TWO, samples=20_000)
    assert abs(found[0, 0, 0] - 4.25) < 4 * np.sqrt(7 / 20_000)


def test_one_baseline_is_integrated_gradients_at_random_points():
    image = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)
    found, runner = explain(image, square, baselines=-0.5, samples=5)
    expected = np.mean([(point * (image + 0.5)).sum(axis=-1) for point in runner.points], axis=0)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-5, atol=1e-6)
    shares = [(point + 0.5) / (image + 0.5) for point in runner.points]
    assert all(np.ptp(share) < 1e-4 and 0 <= share.mean() <= 1 for share in shares)
    assert np.ptp([share.mean() for share in shares]) > 0.1


def test_mean_is_that_of_each_channel():
    _, runner = explain([[1.0, 10.0], [3.0, 30.0]], square, baselines="mean", samples=3)
    np.testing.assert_allclose([point.mean(axis=0) for point in runner.points], [[2, 20]] * 3, rtol=1e-6)


def test_a_seed_gives_the_same_twice_and_another_seed_another():
    first, second, third = (explain(IMAGE, square, baselines=TWO, seed=seed, samples=9)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert abs(first - third).max() > 1e-3


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_noise_is_added_to_the_input(sigma):
    """Of a constant derivative the mean is the noise's, 6 + 0.5 x 4 z; without noise it is exact."""
    found, _ = explain([[4.0], [8.0]], lambda x: 1 + 0 * x, sigma=sigma, samples=400)
    deviation = np.abs(found[0, 0] - [4, 8]).max()
    assert deviation < 1e-5 if sigma == 0 else 1e-3 < deviation < 4 * 2 / np.sqrt(400)
