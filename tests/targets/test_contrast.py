"""The score of a class less those of the most similar classes, on numbers."""

import numpy as np
import pytest

from seewhy.errors import OptionError, TargetError
from seewhy.methods import METHODS, get
from seewhy.targets import TargetScores
from seewhy.targets.contrast import contrasted
from seewhy.types import Contrast

OUTPUTS = np.array([[5.0, 4.0, 1.0, 7.5], [2.0, 2.0, 2.0, 3.0]])


def contrasts(indices, alpha, similar, outputs=OUTPUTS):
    indices = np.array(indices)
    result = TargetScores(np.take_along_axis(outputs, indices, axis=-1), indices)
    found = contrasted(result, outputs, Contrast(alpha, similar), np)
    assert found.indices is indices
    return found.scores


@pytest.mark.parametrize(
    ("alpha", "similar", "first"),
    [
        (1.0, 1, [5 - 4, 1 - 4, 7.5 - 5]),
        (0.5, 2, [5 - 0.5 * (4 + 7.5) / 2, 1 - 0.5 * (4 + 5) / 2, 7.5 - 0.5 * (5 + 4) / 2]),
        (1.0, 3, [5 - 12.5 / 3, 1 - 16.5 / 3, 7.5 - 10 / 3]),
        (1.0, 9, [5 - 12.5 / 3, 1 - 16.5 / 3, 7.5 - 10 / 3]),
        (0.0, 2, [5, 1, 7.5]),
    ],
)
def test_the_closest_scores_of_other_classes(alpha, similar, first):
    np.testing.assert_allclose(contrasts([[0, 2, 3], [0, 1, 2]], alpha, similar)[0], first)


def test_classes_of_the_same_score_are_not_the_class_itself():
    """Two of the others are 2 as well, and the third is 3; whichever of equals comes first."""
    for similar, mean in ((1, 2), (2, 2), (3, 7 / 3)):
        np.testing.assert_allclose(contrasts([[0, 1, 2], [0, 1, 2]], 1.0, similar)[1], 2 - mean, atol=1e-12)
    np.testing.assert_allclose(contrasts([[0], [3]], 1.0, 3)[1], 3 - 2)


def test_a_model_of_one_class_is_refused():
    with pytest.raises(TargetError, match="compares a class with similar ones, and the model has one class only"):
        contrasts([[0], [0]], 1.0, 1, OUTPUTS[:, :1])


def test_options_of_the_contrast():
    assert METHODS["finercam"].contrast == Contrast(0.6, 3)
    method = get("finercam", alpha=1, base="layercam")
    assert (method.contrast, method.options) == (Contrast(1.0, 3), {"base": "layercam", "alpha": 1, "similar": 3})
    assert get(method, alpha=0.6, base="gradcam").contrast == METHODS["finercam"].contrast
    assert get("gradcam").contrast is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "alpha is -0.1; expected a number, 0 or more, up to 1000"),
        ({"alpha": 1001}, "alpha is 1001; expected a number, 0 or more, up to 1000"),
        ({"alpha": True}, "alpha is True; expected a number"),
        ({"alpha": float("nan")}, "alpha is nan; expected a number"),
        ({"similar": 0}, "similar is 0; expected an integer, 1 or more"),
        ({"similar": 1.5}, "similar is 1.5; expected an integer"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        get("finercam", **options)
