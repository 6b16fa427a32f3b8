"""RISE, against masks made in loops, and against the exact expectation, over a model in NumPy."""

from itertools import product

import numpy as np
import pytest
from tests.methods.by_hand import interpolated_at
from tests.methods.numpy_model import CountingRunner, Model

from seewhy import methods
from seewhy.errors import OptionError

TARGETS = [2, 0]


def explain(model, targets=TARGETS, batch_size=4, **options):
    runner = CountingRunner(model, model.make_image(), targets, batch_size)
    return methods.get("rise", **options)(model.capture(model.make_image(), targets), runner), runner


def masks_by_hand(size, count, grid, p, seed):
    """Section 3.2 of the paper, pixel by pixel: draw cells, enlarge them to one cell more, cut at a random place."""
    random = np.random.default_rng(seed)
    cell = [int(np.ceil(pixels / cells)) for pixels, cells in zip(size, grid, strict=True)]
    cells_on = random.random((count, *grid)) < p
    shifts = random.integers(0, cell, (count, len(size)))
    for on, shift in zip(cells_on.astype(float), shifts, strict=True):
        mask = np.empty(size)
        for pixel in np.ndindex(size):
            at = on
            for x, s, cells, pixels in zip(pixel, shift, grid, cell, strict=True):
                at = interpolated_at(at, (x + s + 0.5) * cells / ((cells + 1) * pixels) - 0.5, cells)
            mask[pixel] = at
        yield mask


def equation_6(model, masks, target, p, centred):
    scores = [model.score(model.make_image() * mask[..., None], target) for mask in masks]
    offset = sum(scores) / len(scores) if centred else 0
    return sum((score - offset) * mask for score, mask in zip(scores, masks, strict=True)) / (p * len(masks))


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    ("size", "given", "grid"),
    [((12,), 3, (3,)), ((8, 6), (3, 2), (3, 2)), ((8, 6), 7, (7, 7)), ((4, 6, 4), 2, (2, 2, 2))],
)
def test_every_target_as_in_loops(size, given, grid, centred):
    model = Model(size)
    found, runner = explain(model, masks=10, grid=given, p=0.4, seed=6, centred=centred)
    masks = list(masks_by_hand(size, 10, grid, 0.4, 6))
    assert found.shape == (1, 2, *size)
    for t, target in enumerate(TARGETS):
        np.testing.assert_allclose(found[0, t], equation_6(model, masks, target, 0.4, centred), atol=2e-6)
    assert runner.forwards == 10


def test_many_masks_converge_to_the_expectation():
    """Equation 4, exactly: the mean score of all masks that let a pixel through, weighted as likely as they are.

    One cell for a pixel leaves no room to shift, so that there are no masks but these sixteen.
    """
    model, p = Model((4,), gain=3), 0.3
    weights = [[1, 0, 0, 0], [0.3, 0.7, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.7, 0.3]]  # of four cells on five pixels
    expected = np.zeros(4)
    for on in product((0, 1), repeat=4):
        mask = np.array(weights) @ on
        likely = p ** sum(on) * (1 - p) ** (4 - sum(on))
        expected += model.score(model.make_image() * mask[..., None], 2) * mask * likely / p
    found, _ = explain(model, masks=20_000, grid=4, p=p, batch_size=500, centred=False)
    np.testing.assert_allclose(found[0, 0], expected, atol=0.05)
    assert np.ptp(expected) > 0.2


def test_a_constant_model_gives_zeros():
    """Exactly: the mean of equal scores is subtracted from each."""
    np.testing.assert_array_equal(explain(Model((8, 6), gain=0.0), masks=37)[0], 0)


def test_a_constant_added_to_the_scores_changes_nothing():
    model = Model((8, 6))
    before, _ = explain(model, masks=20)
    model.logit_bias += 8
    np.testing.assert_allclose(explain(model, masks=20)[0], before, atol=5e-6)


def test_the_seed_determines_the_masks():
    first, same, other = (explain(Model((8, 6)), masks=20, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


def test_the_size_of_batches_changes_nothing():
    found = [explain(Model((8, 6)), masks=20, batch_size=size)[0] for size in (1, 7, 50)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)


def standard_error(model, masks, target, p, centred):
    """Return the relative standard error of the heatmap of these masks, by its definition."""
    scores = np.array([model.score(model.make_image() * mask[..., None], target) for mask in masks])
    scores = scores - scores.mean() if centred else scores
    summands = scores.reshape(-1, *(1,) * masks[0].ndim) * np.stack(masks) / p
    error = summands.std(axis=0) / np.sqrt(len(masks))
    return error.max() / np.abs(summands.mean(axis=0)).max()


@pytest.mark.parametrize("centred", [True, False])
def test_a_tolerance_stops_at_the_first_hundred_masks_that_are_within_it(centred):
    model, options = Model((8, 6), gain=2), {"grid": 3, "p": 0.4, "seed": 6, "centred": centred}
    masks = list(masks_by_hand((8, 6), 600, (3, 3), 0.4, 6))
    errors = {
        count: max(standard_error(model, masks[:count], target, 0.4, centred) for target in TARGETS)
        for count in range(100, 700, 100)
    }
    tolerance = (errors[300] + min(errors[100], errors[200])) / 2
    assert errors[300] < tolerance < min(errors[100], errors[200])
    found, runner = explain(model, masks=600, batch_size=50, tolerance=tolerance, **options)
    assert runner.forwards == 300
    for t, target in enumerate(TARGETS):
        by_hand = equation_6(model, masks[:300], target, 0.4, centred)
        np.testing.assert_allclose(found[0, t], by_hand, atol=5e-6)
    other, _ = explain(model, masks=600, batch_size=70, tolerance=tolerance, **options)
    np.testing.assert_array_equal(found, other)  # however many run at once


def test_a_tolerance_that_is_not_reached_runs_all_masks():
    model = Model((8, 6))
    found, runner = explain(model, masks=250, tolerance=1e-6)
    assert runner.forwards == 250
    np.testing.assert_array_equal(found, explain(model, masks=250)[0])


def test_a_constant_model_is_within_every_tolerance():
    found, runner = explain(Model((8, 6), gain=0.0), masks=4000, tolerance=1e-6, batch_size=20)
    assert runner.forwards == 100
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": 0}, "masks is 0; expected an integer, 1 or more"),
        ({"masks": 1e3}, "masks is 1000.0; expected an integer"),
        ({"grid": 0}, "grid is 0; expected an integer, 1 or more"),
        ({"p": 0}, "p is 0; expected a number between 0 and 1"),
        ({"p": 1.0}, "p is 1.0; expected a number between 0 and 1"),
        ({"p": 1.5}, "p is 1.5; expected a number between 0 and 1"),
        ({"tolerance": 0}, "tolerance is 0; expected a number between 0 and 1"),
        ({"seed": 0.5}, "seed is 0.5; expected an integer, 0 or more"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        explain(Model((8, 6)), **options)
