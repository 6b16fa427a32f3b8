"""Heatmaps or scores that are not finite are an error that names the image."""

import numpy as np
import pytest

from seewhy.attribution.checks import check_finite
from seewhy.errors import ModelRunError


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("image", [0, 2])
def test_values_that_are_not_finite_are_an_error(value, image):
    heatmaps, scores = np.zeros((3, 2, 4, 4), np.float32), np.zeros((3, 2), np.float32)
    check_finite(heatmaps, scores)
    for damaged in (heatmaps, scores):
        damaged[image].flat[-1] = value
        with pytest.raises(ModelRunError, match=f"NaN or infinite values for image {image} of the batch"):
            check_finite(heatmaps, scores)
        damaged[image].flat[-1] = 0
