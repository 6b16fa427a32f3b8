"""Recipro-CAM, against the paper's equations in loops over models in NumPy."""

import numpy as np
import pytest
from tests.methods import pooled_model
from tests.methods.numpy_model import CountingRunner, Model

from seewhy import methods
from seewhy.errors import OptionError

SIZES = {"signal": (12,), "image": (8, 6), "volume": (4, 6, 4)}


def explain(model, targets, batch_size=4, **options):
    runner = CountingRunner(model, model.make_image(), targets, batch_size)
    return methods.get("recipro_cam", **options)(model.capture(model.make_image(), targets), runner), runner


def weight(position, other, mask):
    """Return the kernel at another position: 1/4 or 1/2 or nothing along each axis, for the neighbour and itself."""
    distances = [abs(a - b) for a, b in zip(position, other, strict=True)]
    if mask == "point":
        return float(max(distances) == 0)
    return float(np.prod([{0: 0.5, 1: 0.25}.get(distance, 0.0) for distance in distances]))


def scores_alone(model, target, mask):
    """Return the score of the activations around each position alone, in loops."""
    maps = model.trunk(model.make_image()[None])[0]
    found = np.zeros(maps.shape[:-1])
    for position in np.ndindex(found.shape):
        alone = np.zeros(maps.shape)
        for other in np.ndindex(found.shape):
            alone[other] = weight(position, other, mask) * maps[other]
        found[position] = model.head(alone[None])[0, target]
    return found, model.head(np.zeros((1, *maps.shape)))[0, target]


@pytest.mark.parametrize("mask", ["gaussian", "point"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_is_the_papers_map_times_its_range(size, mask):
    model = Model(size)
    found, runner = explain(model, [2, 0], mask=mask, origin="lowest")
    signed, more = explain(model, [2, 0], mask=mask)
    for t, target in enumerate([2, 0]):
        scores, nothing = scores_alone(model, target, mask)
        papers = (scores - scores.min()) / (scores.max() - scores.min())
        np.testing.assert_allclose(found[0, t] / found[0, t].max(), papers, atol=1e-5)
        np.testing.assert_allclose(found[0, t], scores - scores.min(), atol=1e-5)
        np.testing.assert_allclose(signed[0, t], scores - nothing, atol=1e-5)
    positions = int(np.prod(model.space))
    assert (runner.head_forwards, more.head_forwards, runner.forwards) == (positions, positions + 1, 0)


def test_the_two_dimensional_kernel_is_the_papers():
    corner = [[weight((1, 1), (i, j), "gaussian") for j in range(3)] for i in range(3)]
    np.testing.assert_array_equal(corner, np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16)


def test_after_pooling_and_a_linear_layer_it_is_cam_divided_by_the_number_of_positions():
    model, image, targets = pooled_model.PooledModel(), pooled_model.make_image(), [2, 0]
    capture, runner = model.capture(image, targets), pooled_model.Runner(model, image, targets)
    cam = methods.get("cam")(capture, runner)
    found = methods.get("recipro_cam", mask="point")(capture, runner)
    np.testing.assert_allclose(found, cam / 12, atol=1e-5)


@pytest.mark.parametrize("origin", ["lowest", "zeros"])
def test_a_constant_model_gives_zeros(origin):
    np.testing.assert_array_equal(explain(Model((8, 6), gain=0.0), [0, 1], origin=origin)[0], 0)


def test_the_size_of_batches_changes_nothing():
    model = Model((8, 6))
    np.testing.assert_allclose(explain(model, [0], 1)[0], explain(model, [0], 50)[0], atol=1e-6)


def test_other_choices_are_refused():
    with pytest.raises(OptionError, match="mask is 'square'; expected 'gaussian' or 'point'"):
        explain(Model((8, 6)), [0], mask="square")
    with pytest.raises(OptionError, match="origin is 0; expected 'zeros' or 'lowest'"):
        explain(Model((8, 6)), [0], origin=0)
