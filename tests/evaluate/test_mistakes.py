"""What metrics say to input that they cannot take, and where a value is undefined."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.evaluate import known_models
from tests.evaluate.known_models import SIZE, explainer, hirescam

from seewhy import Explainer, evaluate
from seewhy.errors import ImageError, InputError, ModelRunError, OptionError, TargetError
from seewhy.evaluate import METRICS
from seewhy.images.reading import read

WEIGHTS = known_models.quadrant()
IMAGES = known_models.images(3)
MAPS = WEIGHTS * IMAGES[:, 0]
MASKS = np.broadcast_to(WEIGHTS > 0, MAPS.shape)
FAST = {
    "deletion": {"steps": 4},
    "insertion": {"steps": 4},
    "mufidelity": {"samples": 10},
    "occlusion_correlation": {"window": 8, "stride": 4},
    "road": {"shares": [0.3, 0.6]},
}


def measure(metric, maps):
    if metric.needs == "heatmaps":
        return metric(maps)
    if metric.needs == "annotations":
        return metric(maps, MASKS)
    return metric(known_models.linear(WEIGHTS), IMAGES, maps, [0], **FAST.get(metric.name, {}))


@pytest.mark.parametrize(
    "metric", [each for each in METRICS.values() if each.needs != "explainer"], ids=lambda m: m.name
)
def test_a_map_of_zeros_or_with_nan_is_undefined_and_changes_no_other(metric):
    maps = MAPS.copy()
    maps[1], maps[2, 0, 0] = 0, np.nan
    found = measure(metric, maps)
    assert np.isnan(found[1:]).all()
    np.testing.assert_allclose(found[0], measure(metric, MAPS)[0], rtol=1e-6)
    np.testing.assert_allclose(measure(metric, MAPS * 1e200)[0], found[0], rtol=1e-6)  # the scale has no meaning
    assert np.isnan(measure(metric, np.zeros((3, 1, 2, 2)))).all()


@pytest.mark.parametrize(
    "metric", [each for each in METRICS.values() if each.needs == "explainer"], ids=lambda m: m.name
)
def test_a_method_that_shows_nothing_is_undefined(metric):
    def nothing(capture):
        return hirescam(capture) * 0

    images = known_models.solid()
    assert np.isnan(metric(explainer(known_models.colours(), nothing, "1"), images, [[0], [1], [2], [3]])).all()


@pytest.mark.parametrize("name", ["deletion", "mufidelity", "average_drop", "occlusion_correlation", "road"])
def test_the_batch_size_changes_no_value(name):
    given = (known_models.linear(WEIGHTS), IMAGES, MAPS, [0])
    one, many = (METRICS[name](*given, batch_size=size, **FAST.get(name, {})) for size in (2, 50))
    np.testing.assert_allclose(one, many, rtol=1e-5)


def test_no_more_inputs_run_at_once_than_the_batch_size():
    sizes = []
    classifier = known_models.linear(WEIGHTS)
    classifier.model.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    evaluate.deletion(classifier, np.repeat(IMAGES, 4, axis=0), np.repeat(MAPS, 4, axis=0), [0], steps=10, batch_size=5)
    assert max(sizes) == 5
    assert sum(sizes) >= 12 * 11


def test_images_are_read_and_preprocessed_as_everywhere(examples):
    classifier = known_models.linear(WEIGHTS)
    path = next(examples.glob("*.jpg"))
    maps = MAPS[:1]
    by_path, by_array = (evaluate.deletion(classifier, given, maps, [0], steps=4) for given in (path, [read(path)]))
    by_input = evaluate.deletion(classifier, classifier.preprocess([path]), maps, [0], steps=4)
    np.testing.assert_array_equal(by_path, by_array)
    np.testing.assert_array_equal(by_path, by_input)
    of_explanations = evaluate.deletion(
        classifier, path, explainer(classifier, hirescam).explain(path, [1, 0]), steps=4
    )
    assert of_explanations.shape == (1, 2)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.ones((3, 3, 4, 4)), r"3 heatmaps for each image and 1 targets.*colour channels.*maps.sum"),
        (np.ones((2, 1, 4, 4)), r"Heatmaps of 2 images were given for 3 images"),
        (np.ones((3, 4)), r"shape \(3, 4\); expected \(N, T, u, v\)"),
        (np.ones((3, 1, 2, 4, 4)), r"shape \(3, 1, 2, 4, 4\)"),
        (np.ones((0, 1, 4, 4)), r"No heatmaps"),
        ([["a"]], r"of type <U1; expected numbers"),
        ([np.ones((1, 4, 4)), np.ones((2, 4, 4)), np.ones((1, 4, 4))], r"same number of heatmaps; given \[1, 2\]"),
    ],
)
def test_foreign_maps_of_a_wrong_shape(maps, message):
    with pytest.raises(InputError, match=message):
        evaluate.deletion(known_models.linear(WEIGHTS), IMAGES, maps, steps=2)


def test_tensors_are_taken_as_other_tools_return_them():
    """Maps that require gradients, in a tensor or a list; classes in a tensor; and a class for each image, said so."""
    model, maps = known_models.linear(WEIGHTS), torch.tensor(MAPS, requires_grad=True)
    expected = evaluate.deletion(model, IMAGES, MAPS, [[0]] * len(MAPS), steps=2)
    for given in (maps, list(maps)):
        found = evaluate.deletion(model, torch.tensor(IMAGES), given, torch.zeros(len(MAPS), 1, dtype=int), steps=2)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match=r"one class for each image is \[\[282\], \[967\]\]"):
        evaluate.deletion(model, IMAGES, maps, torch.zeros(len(MAPS), dtype=int), steps=2)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.ones((2, 4, 4), bool), r"Masks of 2 images were given for heatmaps of 3"),
        (np.ones((3, 2, 4, 4), bool), r"Image 0 has 2 masks and 1 heatmaps"),
        (np.full((3, 4, 4), 7), r"other values than True and False, up to 7"),
        (np.ones((3, 4), bool), r"boxes_to_masks"),
    ],
)
def test_masks_of_a_wrong_shape(masks, message):
    with pytest.raises(InputError, match=message):
        evaluate.energy_pointing_game(MAPS, masks)


def test_masks_of_images_of_any_size_and_without_an_object():
    masks = [np.ones((5, 7), bool), np.zeros((9, 2), bool), np.ones((1, 3, 3), bool)]
    found = evaluate.energy_pointing_game(np.abs(MAPS), masks)
    np.testing.assert_allclose(found[[0, 2]], 1)
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 0, 4), "top < bottom"),
        ((9, 9, 12, 12), "lies outside"),
        ((0, 1, 2), "top, left"),
        ((0, 0, np.nan, 4), "nan"),
    ],
)
def test_boxes_that_are_none(box, message):
    with pytest.raises(InputError, match=message):
        evaluate.boxes_to_masks([[box]], (8, 8))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("deletion", {"steps": 0}, "steps is 0"),
        ("deletion", {"baseline": "noise"}, "expected 'blur', 'mean', a number"),
        ("deletion", {"batch_size": 0}, "batch_size is 0"),
        ("road", {"shares": [0.5, 1]}, "expected numbers between 0 and 1"),
        ("mufidelity", {"similarity": "kendall"}, "expected 'spearman' or 'pearson' or 'ssim'"),
        ("mufidelity", {"subset": 1}, "subset is 1"),
        ("occlusion_correlation", {"window": 99}, "window is 99"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(OptionError, match=message):
        METRICS[name](known_models.linear(WEIGHTS), IMAGES, MAPS, [0], **options)


def test_targets_and_images_that_do_not_fit():
    classifier = known_models.linear(WEIGHTS)
    with pytest.raises(TargetError, match="There is no class 5"):
        evaluate.deletion(classifier, IMAGES, MAPS, 5)
    with pytest.raises(TargetError, match="for 2 images, but there are 3"):
        evaluate.deletion(classifier, IMAGES, MAPS, [[0], [1]])
    with pytest.raises(ImageError, match="is not an image"):
        evaluate.deletion(classifier, [np.ones((2, 2))], MAPS[:1])
    with pytest.raises(TargetError, match=r"not classes\. Give what they explain"):
        evaluate.deletion(classifier, IMAGES, explainer(classifier, hirescam).heatmaps(IMAGES, lambda y: y[:, 0]))
    with pytest.raises(TargetError, match="one class for each image"):
        evaluate.grid_pointing_game(explainer(classifier, hirescam), IMAGES, "top-2")
    with pytest.raises(TargetError, match="compares classes"):
        evaluate.random_logit(explainer(classifier, hirescam), IMAGES, lambda y: y[:, 0])


def test_scores_that_are_not_finite_are_refused():
    classifier = known_models.linear(np.full((SIZE, SIZE), 3e38))
    with pytest.raises(ModelRunError, match="NaN or infinite scores"):
        evaluate.deletion(classifier, IMAGES, MAPS, [0], steps=2, score="logit")


def test_values_of_explanations_and_heatmaps_of_part_of_the_input():
    """A heatmap of the left half of the input is 0 in the right one."""
    classifier = known_models.linear(np.tile([1.0] * 8 + [0.0] * 8, (SIZE, 1)) / 128)
    heatmaps = Explainer(classifier, "hirescam", layer="0").heatmaps(IMAGES, [0])
    half = replace(heatmaps, values=np.ones((3, 1, 4, 4), np.float32), input_box=(0.0, 0.0, 1.0, 0.5))
    curve = evaluate.deletion_curve(classifier, np.ones_like(IMAGES), half, steps=2, score="logit")
    np.testing.assert_allclose(curve.y[:, 0], np.tile([1, 0, 0], (3, 1)), atol=1e-5)


def test_tensors_and_what_is_no_explainer():
    classifier, tensor = known_models.linear(WEIGHTS), torch.as_tensor(IMAGES)
    found = evaluate.average_drop(classifier, tensor, torch.as_tensor(MAPS), [0])
    np.testing.assert_array_equal(found, evaluate.average_drop(classifier, IMAGES, MAPS, [0]))
    with pytest.raises(InputError, match="The images, a Tensor, cannot become an array: Got unsupported"):
        evaluate.average_drop(classifier, tensor.bfloat16(), MAPS)
    with pytest.raises(InputError, match="The heatmaps, a list, cannot become an array"):
        evaluate.entropy(list(tensor.bfloat16()))
    for name in ("adcc", "grid_pointing_game", "model_randomization"):
        with pytest.raises(OptionError, match=r"needs a seewhy\.Explainer; given a Classifier"):
            METRICS[name](classifier, IMAGES)
