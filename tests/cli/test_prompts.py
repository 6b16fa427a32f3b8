"""`--prompt`, with a model whose embeddings are known."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from tests.two_towers import two_squares

TOWERS = """
import seewhy
from tests.two_towers import Towers
from tests.two_towers import tokenize as words

def tokenize(texts):
    return words([text.replace(",", "") for text in texts])

def build():
    preprocessing = seewhy.Preprocessing(size=(8, 8), std=255.0)
    return seewhy.Classifier(Towers(), preprocess=preprocessing, tokenizer=tokenize, name="towers")
"""


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A red square and a smaller green one."""
    (tmp_path / "towers.py").write_text(TOWERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "towers", raising=False)
    Image.fromarray(np.moveaxis(two_squares()[0] * 255, 0, -1).astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_prompts_are_classes_all_of_which_are_explained(run, photo, tmp_path):
    prompts = ("--prompt", "a green square", "--prompt", "a red square")
    model = ("explain", photo, "--model", "towers:build", *prompts, "--format", "json,html", "--json")
    code, out, err = run(*model)
    assert (code, err) == (0, "")
    (image,) = json.loads(out)["explanations"]
    targets = image["targets"]
    assert [target["name"] for target in targets] == ["a green square", "a red square"]
    logits = 10 * np.array([4, 9]) / np.hypot(4, 9)
    np.testing.assert_allclose([target["score"] for target in targets], logits, rtol=1e-5)
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose([target["probability"] for target in targets], expected, rtol=1e-4)
    assert "a green square" in (tmp_path / "explanations" / "report.html").read_text("utf-8")
    code, out, _ = run(*model, "--targets", "top-1")
    assert [target["name"] for target in json.loads(out)["explanations"][0]["targets"]] == ["a red square"]


@pytest.mark.parametrize("command", ["explain", "batch"])
def test_a_target_is_a_prompt_with_commas(run, photo, command):
    prompts = ("--prompt", "a square, red", "--prompt", "green")
    source = photo if command == "explain" else photo.parent
    options = ("--targets", "green,a square, red", "--out", photo.parent / "out", "--json")
    code, out, err = run(command, source, "--model", "towers:build", *prompts, *options)
    assert code == 0, err
    if command == "explain":
        targets = json.loads(out)["explanations"][0]["targets"]
        assert [(target["index"], target["name"]) for target in targets] == [(1, "green"), (0, "a square, red")]


def test_mistakes(run, photo):
    code, _, err = run("explain", photo, "--model", "towers:build")
    assert (code, "has no classes. Give prompts as targets" in err) == (2, True)
    code, _, err = run("explain", photo, "--model", "towers:build", "--prompt", " ")
    assert (code, "The prompt is empty" in err) == (2, True)
    code, _, err = run("explain", photo, "--prompt", "a cat")
    assert (code, "needs a model with an image and a text tower" in err) == (2, True)
    code, _, err = run("serve", "--model", "towers:build")
    assert (code, "has no classes" in err) == (2, True)
    code, _, err = run("export", "--model", "towers:build", "--prompt", "red", "--to", "onnx", "--out", "net.onnx")
    assert code == 2, err
    (photo.parent / "names.txt").write_text("red\ngreen\nblue\n", encoding="utf-8")
    code, _, err = run(
        "explain", photo, "--model", "towers:build", "--prompt", "red", "--class-names", photo.parent / "names.txt"
    )
    assert (code, "There are 3 class names and 1 prompt," in err) == (2, True)
