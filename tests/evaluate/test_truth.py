"""Models whose perfect explanation is known: the true map scores best, its inverse worst, and a random map between."""

import numpy as np
import pytest
from tests.evaluate import known_models
from tests.evaluate.known_models import SIZE, classless, explainer, hirescam, inverted, jumpy, noise

from seewhy.evaluate import METRICS, random_map
from seewhy.evaluate.removal import blurred

WEIGHTS = known_models.quadrant()
IMAGES = known_models.images()
TRUE = WEIGHTS * IMAGES[:, 0]
"""What each pixel adds to the score."""
OBJECT = WEIGHTS > 0
MAPS = {"true": TRUE, "random": random_map(2, size=(SIZE, SIZE), seed=1), "inverted": -TRUE}
OPTIONS = {"deletion": {"steps": 16}, "insertion": {"steps": 16, "baseline": 0.0}, "mufidelity": {"samples": 50}}


def of_positive_maps(name):
    """Metrics of what a map shows take the object itself, and everything else."""
    maps = {"true": OBJECT * 1.0, "random": MAPS["random"], "inverted": ~OBJECT * 1.0}
    return {kind: np.broadcast_to(each, (2, 1, SIZE, SIZE)) for kind, each in maps.items()}[name]


def explained(metric, kind):
    """Return the value of a metric for a method that makes such maps; None where the place is not asked for."""
    place = {"true": hirescam, "random": noise, "inverted": inverted}
    others = {"robustness": {"true": hirescam, "inverted": jumpy}, "sanity": {"true": hirescam, "inverted": classless}}
    function = others.get(metric.family, place).get(kind)
    if function is None:
        return None
    if metric.name == "grid_pointing_game":
        return metric(explainer(known_models.colours(), function, "1"), known_models.solid(), min_confidence=0.9)
    if metric.name == "random_logit":
        halves = np.concatenate([known_models.solid()[:, :, :8], known_models.solid()[::-1, :, 8:]], axis=2)
        return metric(explainer(known_models.colours(), function, "1"), halves, [[0], [1], [1], [0]])
    return metric(explainer(known_models.linear(WEIGHTS), function), IMAGES, [0])


def measure(metric, kind):
    """Return the value of a metric for the true, a random or the inverted map."""
    if metric.needs == "explainer":
        return explained(metric, kind)
    if metric.needs == "annotations":
        options = {"tolerance": 0} if metric.name == "pointing_game" else {}
        return metric(of_positive_maps(kind), np.broadcast_to(OBJECT, (2, SIZE, SIZE)), **options)
    if metric.needs == "heatmaps":  # a constant map is the opposite of a concentrated one
        return metric(np.ones((2, SIZE, SIZE)) if kind == "inverted" else of_positive_maps(kind))
    is_masked = metric.name.startswith("average") or metric.name == "road"
    maps = of_positive_maps(kind) if is_masked else MAPS[kind]
    return metric(known_models.linear(WEIGHTS), IMAGES, maps, [0], **OPTIONS.get(metric.name, {}))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_true_map_is_best_and_its_inverse_worst(metric):
    true, random, inverse = (measure(metric, kind) for kind in ("true", "random", "inverted"))
    sign = 1 if metric.higher_is_better else -1
    better = sign * (true - inverse)
    assert better[np.isfinite(better)].min() > 0.1 * np.abs(true[np.isfinite(true)]).max()
    if random is not None:
        assert sign * np.mean(true - random) > 0 or metric.name == "average_increase"  # which is 0 or 1
        assert sign * np.mean(random - inverse) >= 0


@pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if metric.has_curve], ids=lambda each: each.name
)
def test_the_value_is_that_of_the_curve(metric):
    options = OPTIONS.get(metric.name, {})
    if metric.needs == "explainer":
        arguments = (explainer(known_models.linear(WEIGHTS), hirescam), IMAGES, [0])
    elif metric.needs == "annotations":
        arguments = (TRUE, np.broadcast_to(OBJECT, (2, SIZE, SIZE)))
    else:
        arguments = (known_models.linear(WEIGHTS), IMAGES, TRUE, [0])
    np.testing.assert_array_equal(metric.curve(*arguments, **options).values, metric(*arguments, **options))


def test_insertion_from_a_blurred_image_is_best_for_what_each_pixel_adds_to_it():
    insertion, classifier = METRICS["insertion"], known_models.linear(WEIGHTS)
    added = np.stack([WEIGHTS * (image[0] - blurred(np.moveaxis(image, 0, -1))[..., 0]) for image in IMAGES])
    true, random, inverse = (
        insertion(classifier, IMAGES, maps, [0], steps=16, score="logit") for maps in (added, MAPS["random"], -added)
    )
    assert (true > random).all()
    assert (random > inverse).all()


def test_a_shortcut_in_a_corner_is_found():
    """A model that reads a coloured corner: its map lies there, and localisation on the object says so."""
    corner = np.full((SIZE, SIZE), -1e-4)
    corner[-3:, -3:] = 0.2
    heatmaps = explainer(known_models.linear(corner), hirescam).heatmaps(IMAGES, [0])
    masks = np.stack([np.broadcast_to(mask, (2, SIZE, SIZE)) for mask in (OBJECT, corner > 0)])
    for name in ("pointing_game", "energy_pointing_game", "relevance_mass", "box_iou", "swept_box_iou"):
        options = {"tolerance": 0} if name == "pointing_game" else {}
        on_object, on_corner = (METRICS[name](heatmaps, own, **options) for own in masks)
        np.testing.assert_allclose(on_object, 0, atol=1e-6)
        np.testing.assert_allclose(on_corner, 1, atol=1e-6)
