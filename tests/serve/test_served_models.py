"""The models that are served: their names, and what cannot be served."""

import keras
import pytest

from seewhy import Classifier
from seewhy.errors import ModelError, UsageError
from seewhy.serve.served_models import ServedModel, find, serve_models, short_name


def unheard(*_):
    """Be told of progress, and do nothing."""


def model(*last):
    keras.utils.set_random_seed(0)
    first = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3, activation="relu")]
    return keras.Sequential([*first, *last])


def classifier(units=3, **options):
    return Classifier(
        model(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(units, activation="softmax")), **options
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("efficientnet-lite0", "efficientnet-lite0"),
        ("runs/cats/model.keras", "model"),
        ("C:\\nets\\my cats.h5", "my-cats"),
        ("/srv/runs/cats", "cats"),
        ("torchvision:resnet50", "torchvision:resnet50"),
        ("timm:hf_hub/resnet50.a1", "timm:hf_hub-resnet50.a1"),
        ("package.module:model", "package.module:model"),
        ("<b>.keras", "b"),
        ("../..", "model"),
    ],
)
def test_names_fit_into_an_address_and_say_nothing_of_the_disk(source, name):
    assert short_name(source) == name


def test_two_of_one_name_are_told_apart():
    served_models = serve_models([("a/cats.keras", classifier()), ("b/cats.keras", classifier())], unheard)
    assert list(served_models) == ["cats", "cats-2"]
    assert find(served_models, None).name == "cats"
    with pytest.raises(ModelError, match=r"There is no model 'cat' here. Did you mean 'cats'.* Models: cats, cats-2"):
        find(served_models, "cat")


def test_classes_without_names_are_found_by_their_number():
    model = ServedModel("three", classifier(12), unheard)
    assert model.class_count == 12
    assert [(each.index, each.name, each.id) for each in model.search("class 1", 5)] == [
        (1, "class 1", None),
        (10, "class 10", None),
        (11, "class 11", None),
    ]
    assert [each.index for each in model.search("7", 5)] == [7]


def test_only_layers_that_can_be_laid_over_a_image_are_listed():
    model = ServedModel("three", classifier(), unheard)
    assert [(each.kind, each.shape) for each in model.layers] == [("Rescaling", (16, 16, 3)), ("Conv2D", (14, 14, 4))]
    assert model.layer == model.layers[1].path


def test_an_explainer_is_kept():
    model = ServedModel("three", classifier(), unheard)
    assert model.explainer("gradcam", "auto", "logit", True) is model.explainer("gradcam", "auto", "logit", True)
    assert model.explainer("gradcam", "auto", "logit", False) is not model.explainer("gradcam", "auto", "logit", True)


@pytest.mark.parametrize("names", [None, ["a", "b"]])
def test_a_model_that_gives_no_class_scores_is_not_served(names):
    with pytest.raises(UsageError, match=r"gives no class scores|not one score for each class"):
        ServedModel("maps", Classifier(model(), class_names=names), unheard)
