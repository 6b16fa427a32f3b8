"""Models that run in bfloat16, on every framework of this process.

A number of bfloat16 has 8 bits: 1 + 2^-9, halfway to nothing it knows, becomes 1. What is rounded so in every product
is off by 2^-9 of itself at most.
"""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from tests.contracts.capturing import capture
from tests.contracts.reference import close, expected, images
from tests.sample_models import (
    PAPER_ACTIVATIONS,
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    paper_sequential,
    weight_array,
)

import seewhy
from seewhy.errors import ModelRunError, OptionError

A_LITTLE_MORE = np.float32(1 + 2**-9)

EPSILON = 2**-8
"""The step from 1 to the next number of bfloat16 is twice this."""


def heatmaps(model, inputs, precision, method="gradcam", targets=1):
    explainer = seewhy.Explainer(model, method, "features", signed=True, precision=precision)
    return explainer.heatmaps(inputs, targets).values


def error(found, wanted):
    """Return the largest difference as a share of the maximum."""
    return np.abs(found - wanted).max() / np.abs(wanted).max()


def mean_over_space(gradients):
    return gradients.mean(axis=(2, 3), keepdims=True)


@pytest.mark.usefixtures("bfloat16")
def test_the_paper_model_forgets_a_little_more_than_one():
    """Forwards and backwards: the input and the weights are each a 512th too large for what is found."""
    model = paper_sequential()
    dense = model.layers[-1]
    dense.set_weights([A_LITTLE_MORE * weight_array(dense.kernel), weight_array(dense.bias)])
    inputs = A_LITTLE_MORE * PAPER_INPUT
    found = capture(model, inputs=inputs, precision="bfloat16")
    np.testing.assert_array_equal(found.activations, PAPER_ACTIVATIONS[None])
    np.testing.assert_array_equal(found.scores, PAPER_LOGITS[None])
    np.testing.assert_array_equal(found.gradients, PAPER_GRADIENTS[None])
    in_full = capture(model, inputs=inputs)
    np.testing.assert_allclose(in_full.activations[..., 0], A_LITTLE_MORE * PAPER_ACTIVATIONS[None, ..., 0], rtol=1e-6)
    np.testing.assert_allclose(in_full.gradients, A_LITTLE_MORE * PAPER_GRADIENTS[None], rtol=1e-6)


@pytest.mark.usefixtures("bfloat16")
def test_a_capture_in_bfloat16_is_float32_and_within_its_rounding(framework):
    inputs = images()
    wanted = expected(inputs, (0, 2))
    target = seewhy.targets.Class((0, 2))
    found = capture(framework.plain(), "features", target, framework.given(inputs), precision="bfloat16")
    for name in ("activations", "gradients", "scores", "probabilities"):
        values = getattr(found, name)
        assert values.dtype == np.float32
        assert 0.01 * EPSILON < error(values, getattr(wanted, name)) < 3 * EPSILON


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("method", ["scorecam", "ablationcam", "guided_backprop"])
def test_methods_run_every_time_in_bfloat16(framework, method):
    """Changed inputs; what follows the layer, alone; backwards to the input, by a derivative of ours."""
    model, inputs = framework.plain(), framework.given(images(1))
    wanted, found = (heatmaps(model, inputs, precision, method) for precision in ("float32", "bfloat16"))
    # Most pixels: where a ReLU is next to 0 it may go over to the other side, and takes all that it lets back along.
    off = np.quantile(np.abs(found - wanted), 0.75) / np.abs(wanted).max()
    assert 0.01 * EPSILON < off < 3 * EPSILON


@pytest.mark.usefixtures("bfloat16")
def test_the_maps_of_many_classes_at_once_are_in_bfloat16(framework):
    model, inputs, classes = framework.reading("mean", 40), framework.given(images(2)), list(range(40))
    wanted = heatmaps(model, inputs, "float32", targets=classes)
    assert 0.01 * EPSILON < error(heatmaps(model, inputs, "bfloat16", targets=classes), wanted) < 4 * EPSILON


@pytest.mark.usefixtures("bfloat16")
def test_the_model_and_float32_stay_what_they_are(framework):
    model, inputs = framework.subclassed(), framework.given(images())
    classifier = seewhy.Classifier(model)
    before, state = heatmaps(classifier, inputs, "float32"), framework.state(model)
    message_of = framework.predict(model, inputs)
    assert not np.array_equal(heatmaps(classifier, inputs, "bfloat16"), before)
    assert framework.state(model) == state
    np.testing.assert_array_equal(heatmaps(classifier, inputs, "float32"), before)
    model.is_broken = True
    with pytest.raises(ModelRunError, match="broken on purpose"):
        heatmaps(model, inputs, "bfloat16")
    model.is_broken = False
    np.testing.assert_array_equal(heatmaps(model, inputs, "float32"), before)
    np.testing.assert_array_equal(framework.predict(model, inputs), message_of)


@pytest.mark.usefixtures("bfloat16")
def test_both_precisions_at_the_same_time(framework):
    """Each is compiled and run in a thread of its own, while the others are."""
    model, inputs = framework.plain(), images()
    given, selected = framework.given(inputs), ["float32", "bfloat16"] * 2
    with ThreadPoolExecutor(4) as pool:
        full, short, full_too, short_too = pool.map(lambda each: heatmaps(model, given, each), selected)
    wanted = expected(inputs, (1,))
    close(full, np.einsum("ntuvk,nuvk->ntuv", mean_over_space(wanted.gradients), wanted.activations))
    np.testing.assert_array_equal(full, full_too)
    np.testing.assert_array_equal(short, short_too)
    assert 0.01 * EPSILON < error(short, full) < 4 * EPSILON


def test_a_model_of_another_type_is_refused():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = paper_sequential()
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(OptionError, match=r"is for models that run in float32; this one runs in float16. Leave it"):
        seewhy.Explainer(model, precision="bfloat16")


@pytest.mark.usefixtures("bfloat16")
def test_a_photo(keras_lite0, examples):
    (wanted,) = seewhy.Explainer(keras_lite0).explain([examples / "cat.png"])
    (found,) = seewhy.Explainer(keras_lite0, precision="bfloat16").explain([examples / "cat.png"])
    assert found.targets[0].index == wanted.targets[0].index == 282
    assert 0.99 < np.corrcoef(found.heatmaps.ravel(), wanted.heatmaps.ravel())[0, 1] < 0.999999
    assert found.targets[0].probability == pytest.approx(wanted.targets[0].probability, abs=0.05)
