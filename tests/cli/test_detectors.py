"""Detectors, segmenters and models of one value on the command line."""

import json

import numpy as np
import pytest
from PIL import Image

NETS = """
import torch

import seewhy

PREPROCESS = seewhy.Preprocessing(size=(32, 32), std=255.0)


class Detector(torch.nn.Module):
    def __init__(self, count):
        super().__init__()
        torch.manual_seed(0)
        self.features, self.count = torch.nn.Conv2d(3, 4, 3, padding=1), count

    def forward(self, images):
        boxes = torch.tensor([[0.0, 0, 16, 16], [16, 16, 40, 32]])[: self.count]
        logits = torch.tensor([2.0, 1.0])[: self.count]
        means = torch.relu(self.features(images)).mean(dim=(1, 2, 3))
        labels = torch.ones(self.count, dtype=int)
        return [{"boxes": boxes, "labels": labels, "scores": (logits + mean).sigmoid()} for mean in means]


class Value(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return torch.relu(self.features(images)).mean(dim=(1, 2, 3))


def two():
    return seewhy.Classifier(Detector(2), preprocess=PREPROCESS, class_names=["cat", "dog"])


def none():
    return seewhy.Classifier(Detector(0), preprocess=PREPROCESS, class_names=["cat", "dog"])


def few_names():
    return seewhy.Classifier(Detector(2), preprocess=PREPROCESS, class_names=["cat"])


def value():
    return seewhy.Classifier(Value(), preprocess=PREPROCESS)
"""


@pytest.fixture
def image(tmp_path, monkeypatch):
    """The path of a picture of 64 x 96 pixels, beside the module `nets`."""
    (tmp_path / "nets.py").write_text(NETS, "utf-8")
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_each_detection_is_printed_with_its_box(run, image):
    code, printed, problems = run("explain", image, "--model", "nets:two", "--targets", "top-2")
    assert (code, problems) == (0, "")
    assert "explained 1 dog (1): score " in printed
    assert (
        printed.count(", at (0, 0, 48, 32)") == printed.count(", at (48, 32, 120, 64)") == 1
    )  # in pixels of the image


def test_the_report_of_an_image_with_fewer_detections_than_it_shows(run, image):
    """Of five, which are the default of a report, or as many as there are class names."""
    code, _, problems = run("explain", image, "--model", "nets:two", "--format", "html,json", "--targets", "top-5")
    assert (code, problems) == (0, "")
    content = json.loads((image.parent / "explanations" / "a_hirescam.json").read_text("utf-8"))
    assert [target["name"] for target in content["targets"]] == ["dog (1)", "dog (2)"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model", "nets:two", "--targets", "cat"],
            "a.png: There is no detection of class 'cat' above 0.05 in the image; "
            "found: dog 0.88 at (0, 0, 48, 32), dog 0.73 at (48, 32, 120, 64).",
        ),
        (["--model", "nets:none"], "a.png: The detector finds nothing in the image"),
        (
            ["--model", "nets:few_names"],
            "Give a name for each class, from class 0 on, which may be the background: --class-names FILE.",
        ),
        (["--model", "nets:two", "--score", "probability"], "--score probability is for class scores"),
        (["--model", "nets:two", "--backend", "onnx"], "cannot run a detector"),
        (["--model", "nets:value", "--targets", "top-2"], "'top-2' selects more than the model's one value, output 0."),
        (["--model", "nets:value", "--targets", "1"], "There is no class 1: the model predicts one value, output 0."),
    ],
)
def test_what_cannot_be_explained(run, image, options, message):
    code, printed, problems = run("explain", image, *options)
    assert code == 2
    assert message in problems + printed
    assert "Traceback" not in problems


def test_one_value_without_an_axis(run, image):
    code, printed, problems = run("explain", image, "--model", "nets:value", "--format", "json,html,png")
    assert (code, problems) == (0, "")
    assert "explained output 0: score " in printed
    assert "class 0" not in printed
    assert "class 0" not in (image.parent / "explanations" / "a_gradcam.json").read_text("utf-8")
