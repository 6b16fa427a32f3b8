"""`seewhy explain --input` and `seewhy layers`, for a model with several inputs."""

import json
import re

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
