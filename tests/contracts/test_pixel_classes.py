"""Classes of a model that scores every pixel: the pixels that it predicts as a class."""

import numpy as np
import pytest
from tests.contracts import reference

import seewhy
from seewhy.errors import TargetError
from seewhy.targets import Region

NAMES = ["background", "cat", "dog", "bird"]


def test_a_class_stands_for_the_pixels_predicted_as_it(framework):
    inputs, is_first = framework.given(reference.images(2)), not framework.NAME.startswith("keras")
    explainer = seewhy.Explainer(seewhy.Classifier(framework.mapped(), class_names=NAMES))
    logits = explainer.heatmaps(inputs, Region(np.ones((10, 8), bool), 0, channels_first=is_first)).outputs
    logits = logits if is_first else np.moveaxis(logits, -1, 1)
    labels = logits.argmax(axis=1)
    found = explainer.heatmaps(inputs, ["cat", "bird"])
    assert found.names == (("cat", "bird"),) * 2
    assert found.layer == "features"  # and not the scores themselves
    for image in range(2):
        for position, index in enumerate((1, 3)):
            mask = labels[image] == index
            by_hand = explainer.heatmaps(inputs[image : image + 1], Region(mask, index, channels_first=is_first))
            np.testing.assert_allclose(found.scores[image, position], logits[image, index][mask].sum(), rtol=1e-5)
            np.testing.assert_allclose(found.values[image, position], by_hand.values[0, 0], rtol=1e-4, atol=1e-6)
    counts = np.bincount(labels[0].ravel(), minlength=4)
    largest = [NAMES[index] for index in np.argsort(-counts, kind="stable") if index]
    assert explainer.heatmaps(inputs[:1], "top-2").names == (tuple(largest[:2]),)
    with pytest.raises(TargetError, match="'top-4' selects more classes than the model predicts in the image"):
        explainer.heatmaps(inputs[:1], "top-4")
