"""`seewhy errors MODEL DATA`: the misclassified images in class folders, by any model."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

RED_OR_BLUE = """
import torch
import seewhy

def build():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1, bias=False), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with torch.no_grad():
        model[0].weight[:] = torch.tensor([[4.0, 0, 0], [0, 0, 4.0]]).reshape(2, 3, 1, 1)
    preprocessing = seewhy.Preprocessing(size=(8, 8), std=255.0)
    return seewhy.Classifier(model, preprocess=preprocessing, class_names=["red", "blue"], name="colours")
"""
"""The logits are four times the means of red and of blue."""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Reddish and bluish images, of which red/2 is bluish and blue/0 is reddish."""
    colors = {
        "red/0": (255, 0, 0), "red/1": (200, 0, 0), "red/2": (0, 0, 255),
        "blue/0": (51, 0, 0), "blue/1": (0, 0, 100),
    }  # fmt: skip
    for name, color in colors.items():
        path = tmp_path / "data" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), color, np.uint8)).save(path)
    (tmp_path / "colours.py").write_text(RED_OR_BLUE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "colours", raising=False)
    return tmp_path / "data"


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_misclassified_images_of_any_model(run, data, tmp_path):
    (data / "red" / "bad.png").write_text("no image")
    code, out, err = run("errors", "colours:build", "data")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2 of 5 images are misclassified"
    assert lines[1:3] == [
        "skipped 1 that cannot be read:",
        "  data/red/bad.png is not an image in a format SeeWhy reads (PNG, JPEG, GIF, WEBP, BMP, TIFF, PPM, AVIF).",
    ]
    first, second = rows_of(tmp_path / "errors" / "errors.csv")
    assert (first["image"], first["true_class"], first["predicted_class"]) == ("red/2.png", "red", "blue")
    assert float(first["predicted_probability"]) == pytest.approx(1 / (1 + np.exp(-4)), rel=1e-5)
    assert (second["image"], second["predicted_class"]) == ("blue/0.png", "red")
    assert float(second["true_probability"]) == pytest.approx(1 / (1 + np.exp(0.8)), rel=1e-5)
    with Image.open(tmp_path / "errors" / "errors.png") as figure:
        assert figure.height > 400


def test_the_results_as_json_or_not_at_all(run, data, tmp_path):
    (data / "red" / "bad.png").write_text("no image")
    code, out, err = run("errors", "colours:build", "data", "--json")
    found = json.loads(out)
    assert (code, err, found["evaluated"], found["misclassified"]) == (0, "", 5, 2)
    assert [row["image"] for row in found["explained"]] == ["red/2.png", "blue/0.png"]
    assert found["explained"][1]["true_probability"] == pytest.approx(1 / (1 + np.exp(0.8)), rel=1e-5)
    assert found["files"] == ["errors/errors.png", "errors/errors.csv"]
    assert "data/red/bad.png is not an image" in found["skipped"][0]
    code, out, err = run("errors", "colours:build", "data", "--quiet", "--out", "quiet")
    assert (code, out, err.count("\n")) == (0, "", 1)
    assert "data/red/bad.png is not an image" in err
    assert len(rows_of(tmp_path / "quiet" / "errors.csv")) == 2


def test_the_validation_images_of_a_data_set(run, data, tmp_path):
    for split in ("train", "validation"):
        for name in ("red", "blue"):
            (tmp_path / "split" / split / name).mkdir(parents=True)
            (tmp_path / "split" / split / name / "1.png").write_bytes((data / name / "1.png").read_bytes())
    (tmp_path / "split" / "train" / "red" / "1.png").write_bytes((data / "blue" / "1.png").read_bytes())
    code, out, _ = run("errors", "colours:build", "split", "--out", "none")
    assert (code, out) == (0, "0 of 2 images are misclassified\n")
    assert not (tmp_path / "none").exists()


def test_folders_that_are_not_classes(run, data):
    (data / "blue").rename(data / "bleu")
    code, _, err = run("errors", "colours:build", "data")
    assert code == 2
    assert "The folders of data are not the classes of the model 'colours': 'bleu' (There is no class 'bleu'." in err
    (data / "bleu").rename(data / "1")  # an index is a class
    code, out, _ = run("errors", "colours:build", "data")
    assert (code, out.splitlines()[0]) == (0, "2 of 5 images are misclassified")
