import pytest
from tests.viewer.sample_explanation import sample_explanation

from seewhy.errors import SeewhyWarning
from seewhy.models import Prediction
from seewhy.viewer.viewer_data import viewer_data

CRANES = (Prediction(134, "crane (134)", 0.6), Prediction(517, "crane (517)", 0.3), Prediction(2, "tiger cat", 0.1))


def verdict(label, predictions=CRANES):
    (image,) = viewer_data([sample_explanation(predictions=predictions)], labels=[label])["images"]
    return image["label"], image["correct"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (134, ("crane (134)", True)),
        (517, ("crane (517)", False)),
        ("crane (517)", ("crane (517)", False)),
        ("Crane", ("Crane", True)),  # either of the two
        ("tiger_cat", ("tiger_cat", False)),
        (None, (None, None)),
    ],
)
def test_a_label_is_compared_with_the_first_prediction(label, expected):
    assert verdict(label) == expected


@pytest.mark.parametrize(("label", "shown"), [("tigercat", "tigercat"), (999, "class 999")])
def test_a_label_that_is_no_class_gets_no_verdict(label, shown):
    with pytest.warns(SeewhyWarning, match=f"The label {label!r} is not a class of the model"):
        assert verdict(label) == (shown, None)


def test_outputs_that_are_no_classes_give_no_verdict():
    assert verdict("cat", ()) == ("cat", None)
