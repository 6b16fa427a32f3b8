"""Served models: their names, layers and classes, and models that cannot be served."""

import keras
import pytest
import torch
from tests.attribution.small_detector import SmallDetector

from seewhy import Classifier, Preprocessing
from seewhy.errors import ModelError, TargetError, UsageError
from seewhy.serve.served_models import ServedModel, find_model, serve_models, short_name
from seewhy.targets import Class, Regression


def ignore_progress(*_):
    """Ignore the progress."""


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
        ("hf:microsoft/resnet-50.a1", "resnet-50.a1"),
        ("hf:./runs/flowers", "flowers"),
        ("package.module:model", "package.module:model"),
        ("<b>.keras", "b"),
        ("../..", "model"),
    ],
)
def test_names_are_valid_in_urls_and_reveal_no_folder(source, name):
    assert short_name(source) == name


def test_models_of_the_same_name_get_a_number():
    models = serve_models([("a/cats.keras", classifier()), ("b/cats.keras", classifier())], ignore_progress)
    assert list(models) == ["cats", "cats-2"]
    assert find_model(models, None).name == "cats"
    with pytest.raises(ModelError, match=r"There is no model 'cat'. Did you mean 'cats'.* Models: cats, cats-2"):
        find_model(models, "cat")


def test_classes_without_names_are_found_by_their_index():
    model = ServedModel("three", classifier(12), ignore_progress)
    assert model.class_count == 12
    assert [(row.index, row.name, row.id) for row in model.search_classes("class 1", 5)] == [
        (1, "class 1", None),
        (10, "class 10", None),
        (11, "class 11", None),
    ]
    assert [row.index for row in model.search_classes("7", 5)] == [7]


def test_only_layers_with_two_spatial_axes_are_listed():
    model = ServedModel("three", classifier(), ignore_progress)
    assert [(layer.kind, layer.shape) for layer in model.layers] == [
        ("Rescaling", (16, 16, 3)),
        ("Conv2D", (14, 14, 4)),
    ]
    assert model.default_layer == model.layers[1].path


def test_explainers_are_cached():
    model = ServedModel("three", classifier(), ignore_progress)
    assert model.explainer("gradcam", "auto", "logit", True) is model.explainer("gradcam", "auto", "logit", True)
    assert model.explainer("gradcam", "auto", "logit", False) is not model.explainer("gradcam", "auto", "logit", True)


def test_class_names_of_another_number_are_an_error():
    with pytest.raises(UsageError, match=r"2 class names were given, and the model .* has 4 classes"):
        ServedModel("maps", Classifier(model(), class_names=["a", "b"]), ignore_progress)


def test_a_model_whose_outputs_are_no_scores_is_refused():
    maps = model(keras.layers.Conv2D(1, 1))  # one value at each pixel, such as a depth
    with pytest.raises(UsageError, match="A class cannot be the target"):
        ServedModel("maps", Classifier(maps), ignore_progress)


def detector(class_names=("square", "disc"), threshold=0.3):
    torch.manual_seed(0)
    module = SmallDetector(threshold).eval()
    preprocess = Preprocessing(size=(64, 64), std=255.0)
    return Classifier(module, preprocess=preprocess, class_names=class_names)


@pytest.mark.parametrize("threshold", [0.3, 0.99])
def test_a_detector(threshold):
    """Also one that finds nothing in the grey image that it is tried with."""
    served = ServedModel("shapes", detector(threshold=threshold), ignore_progress)
    assert (served.kind, served.class_count, served.default_layer) == ("detector", 2, "")
    assert [row.name for row in served.search_classes("", 5)] == ["square", "disc"]
    served.check_target(served.classifier.resolve(["top-5", "disc"]))
    with pytest.raises(TargetError, match="There is no class 2"):
        served.check_target(Class((2,)))
    with pytest.raises(TargetError, match="is no target of shapes, which is a detector"):
        served.check_target(Regression())


def test_a_detector_that_does_not_say_how_many_classes_it_has():
    served = ServedModel("shapes", detector(None), ignore_progress)
    assert served.class_count == 0
    assert [(row.index, row.name) for row in served.search_classes("7", 5)] == [(7, "class 7")]
    assert served.search_classes("disc", 5) == served.search_classes("9" * 30, 5) == []


def test_a_segmenter():
    scores = model(keras.layers.Conv2D(3, 1, activation="softmax"))
    served = ServedModel("maps", Classifier(scores, class_names=["sky", "cat", "dog"]), ignore_progress)
    assert (served.kind, served.class_count) == ("segmenter", 3)
    assert served.default_layer == served.layers[1].path
    with pytest.raises(TargetError, match="There is no class 3"):
        served.check_target(Class((3,)))


def test_a_model_of_one_value():
    value = model(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1))
    served = ServedModel("age", Classifier(value), ignore_progress)
    assert (served.kind, served.class_count) == ("value", 1)
    assert [row.name for row in served.search_classes("", 5)] == ["output 0"]
