"""Preprocessing and class names in the metadata of ONNX models: SeeWhy's own, those of Ultralytics and of timm."""

import dataclasses
import json
from pathlib import Path

import pytest

import seewhy
from seewhy.errors import ModelError, SeewhyWarning
from seewhy.models.class_names import imagenet
from seewhy.models.onnx_metadata import MAX_LITERAL, read_metadata
from seewhy.models.sidecar import PreprocessingConfig, Sidecar
from seewhy.models.torch_hubs import timm_preprocessing

PATH = Path("model.onnx")

ULTRALYTICS = {
    "description": "Ultralytics YOLO11n-cls model",
    "author": "Ultralytics",
    "stride": "1",
    "task": "classify",
    "batch": "1",
    "imgsz": "[192, 256]",
    "names": "{0: 'cat', 1: \"dog's\"}",
    "args": "{'batch': 1, 'nms': False}",
    "channels": "3",
}

TIMM = {
    "input_size": [3, 224, 192],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "interpolation": "bicubic",
    "crop_pct": 0.9,
    "crop_mode": "center",
    "label_names": ["cat", "dog"],
}


def names(found):
    return None if found.class_names is None else list(found.class_names)


def test_own_keys_are_the_fields_of_a_sidecar():
    found = read_metadata(
        {
            "seewhy.class_names": '["cat", "dog"]',
            "seewhy.class_ids": '["n1", "n2"]',
            "seewhy.input_size": "[64, 32]",
            "seewhy.preprocessing": '{"crop": 0.5, "mean": [1, 2, 3], "std": 4}',
            "seewhy.layer": "features/Relu_1",
        },
        PATH,
    )
    assert (names(found), found.class_names.ids) == (["cat", "dog"], ("n1", "n2"))
    assert (found.input_size, found.layer) == ((64, 32), "features/Relu_1")
    assert found.preprocessing == PreprocessingConfig(crop=0.5, mean=(1, 2, 3), std=4)
    assert read_metadata({"seewhy.class_names": '"imagenet"'}, PATH).class_names is imagenet()
    assert read_metadata({"producer": "anyone", "names": "x"}, PATH) == Sidecar()


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("class_names", "['cat']", "model.onnx: the metadata 'seewhy.class_names' is .*; expected JSON"),
        ("class_names", "[1]", r"the field 'class_names' is \[1\]; expected a list of names, or 'imagenet'"),
        ("input_size", "[0, 1]", r"the field 'input_size' is \[0, 1\]; expected"),
        ("preprocessing", '{"std": 0}', "the field 'preprocessing.std' is 0; expected a number above 0"),
        ("preprocesing", "{}", "has an unknown field 'preprocesing'. Did you mean 'preprocessing'"),
        ("layer", "", "the field 'layer' is"),
        ("class_names", "[" * 100_000, "expected JSON"),
    ],
)
def test_own_keys_that_are_wrong(key, text, message):
    with pytest.raises(ModelError, match=message):
        read_metadata({f"seewhy.{key}": text}, PATH)


def test_models_of_ultralytics():
    found = read_metadata(ULTRALYTICS, PATH)
    assert (names(found), found.input_size) == (["cat", "dog's"], (192, 256))
    assert found.preprocessing == PreprocessingConfig(crop=1.0, std=255.0)
    detector = read_metadata({**ULTRALYTICS, "task": "detect", "imgsz": "640", "channels": "1"}, PATH)
    assert detector.preprocessing == PreprocessingConfig(std=255.0, grey=True)
    assert detector.input_size == (640, 640)
    numbered = str({index: name.replace(" ", "_") for index, name in enumerate(imagenet())})
    assert read_metadata({**ULTRALYTICS, "names": numbered}, PATH).class_names is imagenet()


@pytest.mark.parametrize("written", [json.dumps, str])
def test_settings_of_timm(written):
    texts = {key: value if isinstance(value, str) else written(value) for key, value in TIMM.items()}
    for metadata in (texts, {"pretrained_cfg": written(TIMM)}):
        found = read_metadata(metadata, PATH)
        assert (names(found), found.input_size) == (["cat", "dog"], (224, 192))
        expected = dataclasses.replace(timm_preprocessing("resnet18", TIMM), channels_first=False)
        assert found.preprocessing.preprocessing((224, 192)) == expected
    whole = read_metadata({**texts, "crop_mode": "squash", "crop_pct": "1.0"}, PATH).preprocessing
    assert whole.crop is None


def test_which_keys_take_precedence():
    metadata = {"pretrained_cfg": json.dumps({**TIMM, "label_names": ["timm"]}), **ULTRALYTICS}
    assert names(read_metadata(metadata, PATH)) == ["cat", "dog's"]
    found = read_metadata({**metadata, "seewhy.class_names": '["ours"]'}, PATH)
    assert (names(found), found.input_size) == (["ours"], (192, 256))
    assert read_metadata(metadata, PATH, has_size=True).input_size is None
    own = {**metadata, "seewhy.input_size": "[8, 8]"}
    assert read_metadata(own, PATH, has_size=True).input_size == (8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": "{0: open('x')}"}, "the metadata 'names' is .*is ignored; expected a value of JSON or Python. Give"),
        ({"names": "{0: 'cat', 2: 'dog'}"}, "expected a name for each class"),
        ({"names": "{0: 1}"}, "expected a name for each class"),
        ({"names": "{[]: 1}"}, "expected a value of JSON or Python"),
        ({"names": "-" * 100_000 + "1"}, "expected a value of JSON or Python"),
        ({"names": "'" + "a" * MAX_LITERAL + "'"}, "expected a value of JSON or Python"),
        ({"imgsz": "[1, 2, 3]"}, r"'imgsz' is \[1, 2, 3\], and is ignored; expected a height and a width"),
        ({"imgsz": "[10**9, 1]"}, "'imgsz' is .* expected a value"),
    ],
)
def test_metadata_of_others_that_is_wrong_is_ignored_with_a_warning(changes, message):
    with pytest.warns(SeewhyWarning, match=message):
        found = read_metadata({**ULTRALYTICS, **changes}, PATH)
    assert found.preprocessing == PreprocessingConfig(crop=1.0, std=255.0)


@pytest.mark.parametrize("wrong", [{"std": [0, 1, 1]}, {"mean": 3}, {"crop_pct": 2}, {"crop_mode": "border"}])
def test_settings_of_timm_that_are_wrong_are_ignored_with_a_warning(wrong):
    with pytest.warns(SeewhyWarning, match="and is ignored; expected"):
        found = read_metadata({"pretrained_cfg": json.dumps({**TIMM, **wrong})}, PATH)
    assert found.preprocessing is None
    assert names(found) == ["cat", "dog"]


def test_classes_without_names():
    assert names(read_metadata({**ULTRALYTICS, "names": "['LABEL_0']"}, PATH)) is None
    assert isinstance(read_metadata(ULTRALYTICS, PATH).class_names, seewhy.ClassNames)
