"""Finer-CAM on every framework: gradients of the difference from the most similar classes, by the weights."""

import numpy as np
import pytest
from tests.contracts import reference
from tests.contracts.reference import images
from tests.methods import by_hand
from tests.sample_models import PAPER_INPUT, paper_sequential

import seewhy
from seewhy import methods
from seewhy.errors import TargetError
from seewhy.targets import Class, Counterfactual, PerImage

MANY = 40
BASES = {"gradcam": by_hand.gradcam, "gradcam++": by_hand.gradcampp}


def explain(model, inputs, targets, **options):
    return seewhy.Explainer(model, methods.get("finercam", **options), "features", signed=True).heatmaps(
        inputs, targets
    )


def contrasted(values, logits, index, alpha, similar):
    """Return values (C, ...) of a class less `alpha` times the mean of those with the closest logits."""
    others = sorted(set(range(len(logits))) - {index}, key=lambda other: abs(logits[other] - logits[index]))
    return values[index] - alpha * values[others[:similar]].mean(axis=0)


def agrees(found, inputs, classes, alpha=0.6, similar=3, base="gradcam"):
    """Compare the scores and the heatmaps of every image and target."""
    wanted = reference.expected(inputs, range(classes), classes)
    for n, indices in enumerate(found.indices):
        for t, index in enumerate(indices):
            contrast = (wanted.logits[n], index, alpha, similar)
            gradients = contrasted(wanted.by_class, *contrast)
            heatmap = BASES[base](wanted.activations[n], gradients)
            np.testing.assert_allclose(found.values[n, t], heatmap, atol=1e-5 * np.abs(heatmap).max())
            np.testing.assert_allclose(found.scores[n, t], contrasted(wanted.logits[n], *contrast), atol=1e-4)


def test_it_is_the_class_less_the_mean_of_the_most_similar(framework):
    inputs, options = images(), {"base": "gradcam++", "alpha": 0.8, "similar": 2}
    found = explain(framework.plain(), framework.given(inputs), [3, "top-1"], **options)
    agrees(found, inputs, reference.CLASSES, **options)
    np.testing.assert_allclose(found.probabilities, reference.expected(inputs, [0]).probabilities, rtol=1e-4)


def test_every_image_with_classes_of_its_own_and_more_than_are_run_at_once(framework):
    inputs, model = images(2), framework.plain(classes=MANY)
    agrees(explain(model, framework.given(inputs), [[5, 0], ["top-2"]]), inputs, MANY)
    agrees(explain(model, framework.given(inputs), f"top-{MANY - 1}"), inputs, MANY)


def test_by_hand_with_fewer_classes_than_are_compared():
    """Grad-CAM is 2 x - 3 of class 0 and -x of class 1, and the logits are -7 and -10."""
    x = PAPER_INPUT[0, ..., 0]
    explainer = seewhy.Explainer(paper_sequential(), "finercam", "conv", signed=True)
    found = explainer.heatmaps(PAPER_INPUT, [0, 1])
    np.testing.assert_allclose(found.values[0], [(2 * x - 3) + 0.6 * x, -x - 0.6 * (2 * x - 3)], atol=1e-5)
    np.testing.assert_allclose(found.scores[0], [-7 + 6, -10 + 4.2], atol=1e-5)


@pytest.mark.parametrize(
    "target", [lambda outputs: outputs[:, 0], Counterfactual(0), PerImage((Class((0,)), Counterfactual(1))), [0, sum]]
)
def test_what_is_not_a_class_is_refused(target):
    inputs = np.concatenate([PAPER_INPUT] * (2 if isinstance(target, PerImage) else 1))
    with pytest.raises(TargetError, match=r"compares classes with similar ones, and .* is not a class. Give classes"):
        seewhy.Explainer(paper_sequential(), "finercam", "conv").heatmaps(inputs, target)
