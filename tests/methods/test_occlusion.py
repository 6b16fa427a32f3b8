"""Occlusion, against windows moved by hand over a model in NumPy."""

import numpy as np
import pytest
from tests.methods.numpy_model import CountingRunner, Model

from seewhy import methods
from seewhy.errors import OptionError

TARGETS = [2, 0]


def explain(model, targets=TARGETS, batch_size=4, **options):
    runner = CountingRunner(model, model.make_image(), targets, batch_size)
    return methods.get("occlusion", **options)(model.capture(model.make_image(), targets), runner), runner


def starts_by_hand(pixels, window, stride):
    starts, start = [], 0
    while start + window < pixels:
        starts.append(start)
        start += stride
    return [*starts, pixels - window]


def heatmap_by_hand(model, target, windows, strides, cover):
    """The mean drop of the score over the windows that cover a pixel, pixel by pixel."""
    image = model.make_image()
    whole = model.score(image, target)
    every = [starts_by_hand(*each) for each in zip(model.size, windows, strides, strict=True)]
    drops = {}
    for choice in np.ndindex(*map(len, every)):
        corner = tuple(starts[i] for starts, i in zip(every, choice, strict=True))
        covered = image.copy()
        for offset in np.ndindex(*windows):
            covered[tuple(np.add(corner, offset))] = cover
        drops[corner] = whole - model.score(covered, target)
    heatmap = np.empty(model.size)
    for pixel in np.ndindex(*model.size):
        own = [
            drop
            for corner, drop in drops.items()
            if all(c <= p < c + w for p, c, w in zip(pixel, corner, windows, strict=True))
        ]
        heatmap[pixel] = sum(own) / len(own)
    return heatmap, len(drops)


@pytest.mark.parametrize(
    ("size", "options", "windows", "strides"),
    [
        ((12,), {"window": 5, "stride": 3}, (5,), (3,)),
        ((8, 6), {"window": 3}, (3, 3), (1, 1)),
        ((8, 6), {"window": (4, 2), "stride": [3, 2]}, (4, 2), (3, 2)),
        ((8, 6), {"window": (8, 6)}, (8, 6), (2, 1)),
        ((4, 6, 4), {"window": 2, "stride": 2}, (2, 2, 2), (2, 2, 2)),
    ],
)
def test_every_target_as_in_loops(size, options, windows, strides):
    model = Model(size)
    found, runner = explain(model, **options)
    assert found.shape == (1, 2, *size)
    for t, target in enumerate(TARGETS):
        expected, count = heatmap_by_hand(model, target, windows, strides, 0)
        np.testing.assert_allclose(found[0, t], expected, atol=1e-6)
    assert runner.forwards == count + 1


def test_the_defaults_are_a_quarter_of_the_input_and_a_quarter_of_that():
    model = Model((32, 16))
    found, runner = explain(model)
    expected, count = heatmap_by_hand(model, TARGETS[0], (8, 4), (2, 1), 0)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)
    assert (runner.forwards, count) == (13 * 13 + 1, 13 * 13)


@pytest.mark.parametrize("baseline", [0.5, (0.25, -1.0), "mean"])
def test_baselines(baseline):
    model = Model((8, 6))
    cover = [each.mean() for each in np.moveaxis(model.make_image(), -1, 0)] if baseline == "mean" else baseline
    found, _ = explain(model, window=2, stride=2, baseline=baseline)
    np.testing.assert_allclose(found[0, 0], heatmap_by_hand(model, 2, (2, 2), (2, 2), cover)[0], atol=1e-6)


def test_pixels_that_the_head_ignores_are_zero():
    """The head is blind to the left half; a window of one block at a time covers nothing else."""
    model = Model((8, 8))
    seen = model.hidden.reshape(4, 4, -1, 7)
    seen[:, :2] = 0
    found, _ = explain(model, window=2, stride=2)
    np.testing.assert_array_equal(found[..., :4], 0)
    assert np.abs(found[..., 4:]).min() > 0


def test_a_constant_model_gives_zeros():
    np.testing.assert_array_equal(explain(Model((8, 6), gain=0.0))[0], 0)


def test_the_size_of_batches_changes_nothing():
    model = Model((8, 6))
    np.testing.assert_allclose(explain(model, batch_size=1)[0], explain(model, batch_size=50)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window is 0; expected an integer, 1 or more"),
        ({"window": 7}, "window is 7 pixels; expected at most 6, the size of the input"),
        (
            {"window": (2, 2, 2)},
            r"window is \(2, 2, 2\); expected .* or one for each of the input's 2 spatial axes",
        ),
        ({"window": "ab"}, "window is 'ab'; expected an integer, or one for each"),
        ({"stride": 0}, "stride is 0; expected an integer, 1 or more"),
        ({"window": 2, "stride": 3}, "stride is 3 pixels; expected at most 2, the size of the window"),
        ({"baseline": "grey"}, "baseline is 'grey'; expected 'mean', a number, or one for each"),
        ({"baseline": (0, 0, 0)}, "expected 'mean', a number, or 2, one for each channel"),
        ({"baseline": ("a", "b")}, "expected 'mean', a number, or one for each"),
        ({"baseline": float("nan")}, "baseline is nan; expected"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        explain(Model((8, 6)), **options)
