"""`seewhy explain --input` and `seewhy layers`, for a model with several inputs."""

import json
import re
import sys

import numpy as np
import onnx
import pytest
from PIL import Image
from tests.pair_model import pair_model


@pytest.fixture(autouse=True)
def pair(tmp_path, monkeypatch):
    """A folder with the file of a Siamese model that also takes a number, and two images."""
    monkeypatch.chdir(tmp_path)
    onnx.save(pair_model(), "pair.onnx")
    random = np.random.default_rng(0)
    for name in "ab":
        Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(f"{name}.png")
    return tmp_path


def test_a_sample_is_explained_and_layers_name_their_inputs(run):
    arguments = ("--model", "pair.onnx", "--preprocessing", "0..1", "--input", "left=a.png", "--input", "right=b.png")
    code, out, err = run("explain", *arguments, "--input", "age=0.5", "--format", "png,npz", "--json")
    (found,) = json.loads(out)["explanations"]
    assert (code, err.count("Error"), found["other_inputs"]) == (0, 0, {"age": 0.5})
    assert [image["layer"] for image in found["inputs"].values()] == ["others", "features"]
    assert found["files"] == ["explanations/a_b_gradcam.png", "explanations/a_b_gradcam.npz"]
    assert np.load("explanations/a_b_gradcam.npz")["right/heatmaps"].shape == (1, 4, 4)
    _, out, _ = run("layers", "pair.onnx")
    rows = {cells[0]: cells[3:] for cells in (re.split(" {2,}", line.strip()) for line in out.splitlines())}
    assert (rows["features"], rows["others"]) == (["left", "<- auto left"], ["right", "<- auto right"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain", "a.png", "--input", "left=a.png"), "Given images, 'a.png', and --input left=a.png"),
        (("explain", "--input", "left=a.png", "--input", "b.png"), "a name in some options and none in others"),
        (("explain", "--input", "left=c.png"), "There is no image at c.png"),
        (("explain",), "No image was given"),
        (
            ("batch", "a.png", "--out", "run", "--model", "pair.onnx"),
            "has 3 inputs, 'right', 'left', 'age', and was given",
        ),
    ],
)
def test_what_is_wrong_is_said(run, arguments, message):
    code, _, err = run(*arguments)
    assert (code, bool(re.search(message, err))) == (2, True), err


MODULE = """
import torch
import seewhy

class Pair(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.age, self.score = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(1, 4), torch.nn.Linear(4, 2)

    def forward(self, left, right, age):
        maps = [self.conv(image).relu().mean((2, 3)) for image in (left, right)]
        return self.score((maps[0] - maps[1]).abs() + self.age(age))

def pair():
    torch.manual_seed(0)
    return seewhy.Classifier(Pair().eval(), preprocess=lambda pixels: pixels / 255, input_size=(9, 9))
"""


@pytest.fixture
def module(pair):
    """The name of a model of PyTorch, which does not tell which of its inputs are images."""
    (pair / "pair_of_images.py").write_text(MODULE, encoding="utf-8")
    yield "pair_of_images:pair"
    sys.modules.pop("pair_of_images", None)


def test_layers_of_given_inputs(run, module):
    inputs = ("--input", "left=a.png", "--input", "right=b.png", "--input")
    code, out, err = run("layers", module, *inputs, "age=0.5,", "--json")
    content = json.loads(out)
    assert (code, content["auto"]) == (0, {"left": "conv#1", "right": "conv#2"}), err
    assert [layer["inputs"] for layer in content["layers"]] == [["left"], ["right"]]
    code, _, err = run("layers", module)
    assert (code, "without values for the inputs, --input left=VALUE --input right" in err) == (2, True), err
    code, _, err = run("explain", "--model", module, *inputs, "age=0.5,", "--layer", "cnv")
    assert (code, "There is no layer 'cnv' in the model. Did you mean 'conv'?" in err) == (2, True), err


def test_a_list_of_one_number_is_that_of_each_perturbation(run, module):
    """A bare number is (N,), and this module takes (N, 1): perturbations of one image run in a batch."""
    inputs = ("--model", module, "--method", "occlusion", "--input", "left=a.png", "--input", "right=b.png", "--input")
    code, _, err = run("explain", *inputs, "age=0.5,", "--format", "npz")
    assert code == 0, err
    assert np.load("explanations/a_b_occlusion.npz")["left/heatmaps"].shape == (1, 9, 9)
