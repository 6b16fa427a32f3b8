"""Finer-CAM: gradients of the difference from the most similar classes, on every framework.

Grad-CAM and HiResCAM are linear in the gradients, so their heatmaps of single classes give the expected ones.
"""

import numpy as np
import pytest
from tests.contracts.reference import images
from tests.methods import by_hand
from tests.sample_models import PAPER_INPUT, paper_sequential

import seewhy
from seewhy import methods
from seewhy.errors import TargetError
from seewhy.targets import Class, Counterfactual, PerImage, TopK

CLASSES = 5
EVERY = tuple(range(CLASSES))


def explain(model, inputs, targets, method="finercam", **options):
    return seewhy.Explainer(model, methods.get(method, **options), "features", signed=True).heatmaps(inputs, targets)


def references(scores, index, similar):
    """Return the classes other than `index` with the closest scores, of one image's (C,)."""
    return sorted((other for other in range(len(scores)) if other != index), key=lambda d: abs(scores[d] - scores[index]))[
        :similar
    ]


def contrasted(values, scores, index, alpha, similar):
    """Return values (C, ...) of a class less `alpha` times the mean of those of the most similar classes."""
    return values[index] - alpha * values[references(scores, index, similar)].mean(axis=0)


@pytest.mark.parametrize(("base", "alpha", "similar"), [("gradcam", 0.6, 3), ("hirescam", 1.0, 1)])
def test_it_is_the_class_less_the_mean_of_the_most_similar(framework, base, alpha, similar):
    model, inputs = framework.plain(classes=CLASSES), framework.given(images())
    single = explain(model, inputs, list(EVERY), base)
    found = explain(model, inputs, [3, "top-1"], base=base, alpha=alpha, similar=similar)
    for n in range(len(found)):
        for t, index in enumerate(found.indices[n]):
            arguments = (single.scores[n], index, alpha, similar)
            expected = contrasted(single.values[n], *arguments)
            np.testing.assert_allclose(found.values[n, t], expected, atol=1e-5 * np.abs(single.values[n]).max())
            np.testing.assert_allclose(found.scores[n, t], contrasted(single.scores[n], *arguments), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.probabilities, single.probabilities, rtol=1e-5)
