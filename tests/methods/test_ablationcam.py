"""Ablation-CAM, against the paper's equations in loops over a model in NumPy."""

import numpy as np
import pytest
from tests.methods.numpy_model import CLASSES, CountingRunner, Model

from seewhy import methods

SIZES = {"signal": (12,), "image": (8, 6), "volume": (4, 6, 4)}


def explain(model, targets, batch_size=4):
    runner = CountingRunner(model, model.make_image(), targets, batch_size)
    return methods.get("ablationcam")(model.capture(model.make_image(), targets), runner), runner


def papers_map(model, target):
    """The paper's weights, divided by y, and their map; also y itself."""
    maps = model.trunk(model.make_image()[None])[0]
    y = model.head(maps[None])[0, target]
    heatmap = np.zeros(maps.shape[:-1])
    for k in range(maps.shape[-1]):
        without = np.array(maps)
        for position in np.ndindex(maps.shape[:-1]):
            without[(*position, k)] = 0
        y_k = model.head(without[None])[0, target]
        for position in np.ndindex(maps.shape[:-1]):
            heatmap[position] += (y - y_k) / y * maps[(*position, k)]
    return heatmap, y


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_is_y_times_the_papers_map(size):
    model = Model(size)
    model.mix[:, 3], model.bias[3] = 0, -1  # a dead channel, that needs no run
    model.logit_bias[:] = [-6, 0, 6]  # of which the first y is negative
    found, runner = explain(model, [2, 0])
    for t, target in enumerate([2, 0]):
        heatmap, y = papers_map(model, target)
        assert (y < 0) == (target == 0)
        np.testing.assert_allclose(found[0, t], y * heatmap, rtol=1e-6, atol=2e-6)
    live = model.trunk(model.make_image()[None]).reshape(-1, 5).any(axis=0).sum()
    assert (runner.head_forwards, runner.forwards) == (live + 1, 0)
    assert live < 5


def test_the_scores_zero_does_not_matter():
    """A bias that makes y 0, where the paper's map is not defined, changes nothing."""
    model = Model((8, 6))
    expected, _ = explain(model, [1])
    model.logit_bias[1] -= model.score(model.make_image(), 1)
    assert abs(model.score(model.make_image(), 1)) < 1e-12
    np.testing.assert_allclose(explain(model, [1])[0], expected, atol=1e-6)


def test_for_a_linear_head_weights_are_gradients_times_activations():
    """y - y_k is then sum_ij dy/dA^k_ij A^k_ij."""
    model = Model((8, 6))
    model.head = lambda activations: activations.reshape(len(activations), -1) @ model.hidden[:, :CLASSES]
    maps = model.trunk(model.make_image()[None])[0]
    gradients = model.hidden[:, :CLASSES].T.reshape(CLASSES, *maps.shape)
    expected = np.einsum("tuvk,uvk,xyk->txy", gradients, maps, maps)
    np.testing.assert_allclose(explain(model, [0, 1, 2])[0][0], expected, atol=1e-5)


def test_a_constant_model_gives_zeros():
    np.testing.assert_array_equal(explain(Model((8, 6), gain=0.0), [0, 1])[0], 0)


def test_the_size_of_batches_changes_nothing():
    model = Model((8, 6))
    np.testing.assert_allclose(explain(model, [0], 1)[0], explain(model, [0], 50)[0], atol=1e-6)
