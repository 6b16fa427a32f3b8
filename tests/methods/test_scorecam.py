"""The Score-CAM family, against the papers' algorithms in loops over a model in NumPy."""

import numpy as np
import pytest
from tests.methods.by_hand import interpolated_at
from tests.methods.numpy_model import CLASSES, CountingRunner, Model

from seewhy import methods
from seewhy.errors import LayerError, OptionError
from seewhy.types import Capture

SIZES = {"signal": (12,), "image": (8, 6), "volume": (4, 6, 4)}
FAMILY = {"scorecam": {}, "sscam": {"samples": 3, "sigma": 0.5, "seed": 11}, "iscam": {"steps": 4}}
TARGETS = [2, 0]


def mask_by_hand(values, size):
    """H^k: the map brought to the input's size pixel by pixel, then scaled to 0..1; 0 where it is constant."""
    mask = np.empty(size)
    for pixel in np.ndindex(size):
        at = values
        for p, cells, pixels in zip(pixel, values.shape, size, strict=True):
            at = interpolated_at(at, (p + 0.5) * cells / pixels - 0.5, cells)
        mask[pixel] = at
    span = mask.max() - mask.min()
    return np.zeros(size) if span == 0 else (mask - mask.min()) / span


def mask_variants(name, mask):
    """The masks that each method runs for one mask."""
    if name == "scorecam":
        return [mask]
    if name == "iscam":
        return [i / 4 * mask for i in (1, 2, 3, 4)]
    noises = np.random.default_rng(11).standard_normal((3, *mask.shape), dtype=np.float32)
    return [mask + 0.5 * noise for noise in noises]


def heatmap_by_hand(name, model, image, target):
    """Algorithm 1 of arXiv 1910.01279: the increase over the baseline, its softmax over all channels, the sum."""
    maps = model.trunk(image[None])[0]
    channels = maps.shape[-1]
    baseline = model.score(np.zeros_like(image), target)
    increases = []
    for k in range(channels):
        masks = mask_variants(name, mask_by_hand(maps[..., k], model.size))
        scores = [model.score(image * mask[..., None], target) for mask in masks]
        increases.append(sum(scores) / len(scores) - baseline)
    total = sum(np.exp(increase) for increase in increases)
    return sum(np.exp(increases[k]) / total * maps[..., k] for k in range(channels))


def explain(name, model, image, targets=TARGETS, batch_size=4, **options):
    runner = CountingRunner(model, image, targets, batch_size)
    return methods.get(name, **FAMILY[name] | options)(model.capture(image, targets), runner), runner


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_every_target_as_in_loops(name, size):
    model = Model(size)
    model.mix[:, 1], model.bias[1] = 0, 0.7  # a constant map, that counts in the softmax
    model.mix[:, 3], model.bias[3] = 0, -1  # a dead one
    image = model.make_image()
    found, runner = explain(name, model, image)
    assert found.shape == (1, 2, *model.space)
    for t, target in enumerate(TARGETS):
        np.testing.assert_allclose(found[0, t], heatmap_by_hand(name, model, image, target), atol=1e-6)
    varying = 3  # of five channels
    assert runner.forwards == {"scorecam": 1, "sscam": 3, "iscam": 4}[name] * (varying + 1)
    assert runner.head_forwards == 0


@pytest.mark.parametrize("name", FAMILY)
def test_the_size_of_batches_changes_nothing(name):
    model = Model((8, 6))
    one_by_one, _ = explain(name, model, model.make_image(), batch_size=1)
    all_at_once, _ = explain(name, model, model.make_image(), batch_size=50)
    np.testing.assert_allclose(one_by_one, all_at_once, atol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_one_target_alone_is_what_it_is_among_several(name):
    model = Model((8, 6))
    every, runner = explain(name, model, model.make_image(), list(range(CLASSES)))
    for target in range(CLASSES):
        alone, alone_runner = explain(name, model, model.make_image(), [target])
        np.testing.assert_allclose(alone[0, 0], every[0, target], atol=1e-6)
        assert alone_runner.forwards == runner.forwards


@pytest.mark.parametrize("name", FAMILY)
def test_a_constant_model_gives_zeros(name):
    """The softmax of increases that are all 0 is 1/K: the mean of the maps, whatever the model has learned."""
    model = Model((8, 6), gain=0.0)
    found, _ = explain(name, model, model.make_image())
    np.testing.assert_array_equal(found, 0)
    assert model.trunk(model.make_image()[None]).mean() > 0.1


@pytest.mark.parametrize("name", FAMILY)
def test_a_constant_added_to_the_scores_changes_nothing(name):
    model = Model((8, 6))
    before, _ = explain(name, model, model.make_image())
    model.logit_bias += 8
    np.testing.assert_allclose(explain(name, model, model.make_image())[0], before, atol=5e-6)


def test_large_logits_do_not_overflow():
    model = Model((8, 6), gain=1e5)
    found, _ = explain("scorecam", model, model.make_image())
    maps = model.trunk(model.make_image()[None])[0]
    assert np.isfinite(found).all()
    assert any(np.allclose(found[0, 0], maps[..., k]) for k in range(maps.shape[-1]))  # one channel has all the weight


def test_the_seed_determines_the_noise():
    model = Model((8, 6))
    first, same, other = (explain("sscam", model, model.make_image(), seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-4


def test_without_much_noise_or_with_one_step_both_are_score_cam():
    model = Model((8, 6))
    expected, _ = explain("scorecam", model, model.make_image())
    np.testing.assert_allclose(explain("sscam", model, model.make_image(), sigma=1e-7)[0], expected, atol=1e-5)
    np.testing.assert_allclose(explain("iscam", model, model.make_image(), steps=1)[0], expected, atol=1e-6)


def test_a_layer_with_other_axes_than_the_input_is_refused():
    model = Model((8, 6))
    image = model.make_image()
    capture = model.capture(image, TARGETS)
    tokens = Capture(capture.activations.reshape(1, 12, 5), None, capture.scores, None, None, None, "tokens", np)
    message = "the layer 'tokens' has 1 spatial axes and the input has 2.*Give a layer whose output has as many"
    with pytest.raises(LayerError, match=message):
        methods.get("scorecam")(tokens, CountingRunner(model, image, TARGETS))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sscam", {"samples": 0}, "samples is 0; expected an integer, 1 or more"),
        ("sscam", {"samples": 2.5}, "samples is 2.5; expected an integer"),
        ("sscam", {"sigma": 0}, "sigma is 0; expected a number above 0"),
        ("sscam", {"sigma": "much"}, "sigma is 'much'; expected a number above 0"),
        ("sscam", {"seed": -1}, "seed is -1; expected an integer, 0 or more"),
        ("iscam", {"steps": True}, "steps is True; expected an integer"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(OptionError, match=message):
        explain(name, Model((8, 6)), Model((8, 6)).make_image(), **options)
