"""Models that crop, pad or resize their input themselves: a bright square is found where it is, on every framework."""

import warnings

import numpy as np
import pytest

import seewhy
from seewhy.errors import LayerError, OptionError, SeewhyWarning

HEIGHT, WIDTH = 32, 48
SQUARE = (12, 16, 20, 24)
"""(top, left, bottom, right) of the bright square, which every crop below shows."""

WHOLE = (0, 0, HEIGHT, WIDTH)

BOXES = {
    "nothing": WHOLE,
    "scale": WHOLE,
    "swap channels": WHOLE,
    "crop": (4, 10, 28, 34),
    "scale and crop": (4, 10, 28, 34),
    "standardize and crop": (4, 10, 28, 34),
    "shrink": WHOLE,
    "crop and enlarge": (8, 8, 24, 40),
    "pad": (-8, -12, 40, 60),
    "letterbox": (-8, 0, 40, 48),
    "pad for a convolution": WHOLE,
}
"""What a model does to its input, and which part of it the first convolution then receives, in pixels."""


def picture(top, left, bottom, right):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return pixels


def explain(framework, step, method="gradcam", **options):
    classifier = seewhy.Classifier(
        framework.brightness(step, (HEIGHT, WIDTH)), preprocess=seewhy.Preprocessing(size=(HEIGHT, WIDTH))
    )
    return seewhy.Explainer(classifier, method, "features", **options).explain([picture(*SQUARE)], [0])[0]


@pytest.mark.parametrize("step", BOXES)
def test_a_bright_square_is_found_where_it_is(framework, step):
    explanation = explain(framework, step)
    top, left, bottom, right = BOXES[step]
    assert explanation.placement.heatmap_box == pytest.approx(BOXES[step], abs=0.3)
    rows, columns = np.nonzero(explanation.normalized_heatmaps[0] > 0.5)
    assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == pytest.approx(SQUARE, abs=1)
    covered = np.zeros((HEIGHT, WIDTH), bool)
    covered[max(top, 0) : bottom, max(left, 0) : right] = True
    np.testing.assert_array_equal(explanation.placement.covered, covered)
    assert not explanation.normalized_heatmaps[0][~covered].any()


def test_a_crop_of_the_image_and_a_crop_in_the_model():
    """The model sees rows 4 to 28 of an input that shows rows 20 to 52 of an image."""
    placement = seewhy.Placement((80, 100), (20, 30, 52, 78), (4 / 32, 10 / 48, 28 / 32, 34 / 48))
    assert placement.heatmap_box == pytest.approx((24, 40, 48, 64))
    assert placement.covered.sum() == 24 * 24
    assert placement.covered[24:48, 40:64].all()


def test_padding_in_the_model_shows_no_more_of_the_image():
    """The model pads its input, which is a crop of the image: beside that crop it saw zeros, and not the image."""
    placement = seewhy.Placement((80, 100), (20, 30, 52, 78), (-0.25, -0.25, 1.25, 1.25))
    assert placement.heatmap_box == (12, 18, 60, 90)
    assert placement.covered.sum() == 32 * 48
    placed = placement.place(np.ones((1, 6, 6), np.float32))[0]
    np.testing.assert_array_equal(placed, placement.covered)


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam"])
def test_heatmaps_are_those_of_the_cropped_picture(framework, method):
    inside = seewhy.Explainer(framework.brightness("crop", (HEIGHT, WIDTH)), method, "features")
    outside = seewhy.Explainer(framework.brightness("nothing", (24, 24)), method, "features")
    inputs = np.random.default_rng(1).uniform(0, 1, (2, HEIGHT, WIDTH, 3)).astype(np.float32)
    found = inside.heatmaps(framework.given(inputs), [0])
    expected = outside.heatmaps(framework.given(inputs[:, 4:28, 10:34]), [0])
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-3 * expected.values.max())
    assert found.input_box == pytest.approx((4 / 32, 10 / 48, 28 / 32, 34 / 48), abs=1e-3)
    assert expected.input_box == (0, 0, 1, 1)


def test_guided_gradcam_multiplies_what_is_at_the_same_place(framework):
    inside = seewhy.Explainer(framework.brightness("crop", (HEIGHT, WIDTH)), "guided_gradcam", "features")
    outside = seewhy.Explainer(framework.brightness("nothing", (24, 24)), "guided_gradcam", "features")
    inputs = np.random.default_rng(1).uniform(0, 1, (1, HEIGHT, WIDTH, 3)).astype(np.float32)
    found = inside.heatmaps(framework.given(inputs), [0])
    expected = outside.heatmaps(framework.given(inputs[:, 4:28, 10:34]), [0])
    np.testing.assert_allclose(found.values[..., 4:28, 10:34], expected.values, rtol=1e-3)
    assert found.input_box == (0, 0, 1, 1)


@pytest.mark.parametrize("step", ["mirror", "transpose"])
def test_what_is_no_crop_is_warned_of_once(framework, step):
    classifier = seewhy.Classifier(
        framework.brightness(step, (HEIGHT, HEIGHT)), preprocess=seewhy.Preprocessing(size=(HEIGHT, HEIGHT))
    )
    explainer = seewhy.Explainer(classifier, layer="features")
    with pytest.warns(SeewhyWarning, match="mirrors, rotates or warps it.*seewhy.Preprocessing"):
        explainer.explain([picture(*SQUARE)], [0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (explanation,) = explainer.explain([picture(*SQUARE)], [0])
    assert explanation.placement.input_box == (0, 0, 1, 1)


def test_augmentation_needs_a_crop_at_the_centre(framework):
    with pytest.raises(OptionError, match="its centre is elsewhere"):
        explain(framework, "crop", augmentation="flips")
    found = explain(framework, "crop and enlarge", augmentation="flips")
    rows, columns = np.nonzero(found.normalized_heatmaps[0] > 0.5)
    assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == pytest.approx(SQUARE, abs=1)


def test_layers_of_different_parts_are_not_fused(framework):
    model = framework.brightness("crop", (HEIGHT, WIDTH), is_layer=True)
    inputs = framework.given(np.ones((1, HEIGHT, WIDTH, 3), np.float32))
    with pytest.raises(LayerError, match="show different parts of the input"):
        seewhy.Explainer(model, layer=["before", "features"]).heatmaps(inputs, [0])
    assert seewhy.Explainer(model, layer="before").heatmaps(inputs, [0]).input_box == (0, 0, 1, 1)
