"""`--model` and `seewhy layers` with files and functions."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import seewhy
from seewhy.errors import SeewhyWarning, install_command

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.fixture
def run(run, monkeypatch, tmp_path):
    """Run it in an empty folder, and restore Python's path; errors in one line."""

    def run_there(*arguments):
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.chdir(tmp_path)
        code, out, err = run(*arguments)
        return code, out, " ".join(err.split())

    return run_there


@pytest.fixture
def model(tmp_path):
    """A classifier of two classes in a file, with a default layer that is not its last."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.Conv2D(4, 3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(2, activation="softmax", name="head"),
        ]
    )
    classifier = seewhy.Classifier(model, class_names=["cat", "dog"], layer="first")
    return classifier.save(tmp_path / "nets" / "model.keras")


def explained(code, out):
    assert code == 0
    (explanation,) = json.loads(out)["explanations"]
    return explanation


@pytest.mark.parametrize("given", ["nets/model.keras", "nets"])
def test_a_file_or_its_folder(run, model, examples, given):
    code, out, err = run("explain", examples / "cat.png", "--model", given, "--targets", "dog", "--json")
    explanation = explained(code, out)
    assert "Note: The model" in err  # about pixels that are not scaled
    assert [each["name"] for each in explanation["targets"]] == ["dog"]
    assert explanation["layer"] == "first"
    with pytest.warns(SeewhyWarning):
        expected = seewhy.explain(seewhy.load(model), examples / "cat.png", targets=["dog"])
    assert explanation["targets"][0]["score"] == pytest.approx(expected.targets[0].score, rel=1e-5)


def test_the_layers_of_a_file_and_its_default_layer(run, model):
    code, out, _ = run("layers", model)
    assert code == 0
    (chosen,) = [line for line in out.splitlines() if "<- auto" in line]
    assert chosen.split()[0] == "second"
    assert "This model has a default layer, which is explained instead: first." in out


def test_the_layers_of_a_model_with_channels_first(run, tmp_path):
    model = keras.Sequential(
        [keras.Input((3, 8, 9)), keras.layers.Permute((2, 3, 1)), keras.layers.Conv2D(4, 3, name="conv")]
    )
    model.save(tmp_path / "first.keras")
    code, out, _ = run("layers", "first.keras")
    assert (code, "6 x 7 x 4" in out) == (0, True)


def test_code_in_a_file_needs_trust(run, tmp_path, examples):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Lambda(lambda x: x / 255), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()]
    )
    model.save(tmp_path / "code.keras")
    for command in (["layers", "code.keras"], ["explain", examples / "cat.png", "--model", "code.keras"]):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert "code.keras is refused: it contains a Lambda layer" in err
        assert "load it with --trust." in err
        assert run(*command, "--trust")[0] == 0


BUILD = """
import keras
import numpy as np

def build():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPooling2D()])
"""


def test_a_function_in_the_current_folder(tmp_path, examples):
    (tmp_path / "nets.py").write_text(BUILD)
    command = [sys.executable, "-m", "seewhy", "explain", examples / "cat.png", "--model", "nets:build", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    explanation = explained(finished.returncode, finished.stdout)
    assert finished.stderr.startswith("Note: The model")
    assert explanation["layer"] == "conv2d"
    assert np.sum([each["probability"] for each in explanation["predictions"]]) == pytest.approx(1)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "none.keras"], 2, "There is no file none.keras."),
        (["--model", "no_such_module:build"], 2, "there is no module 'no_such_module'"),
        (["--model", "torchvision:resnet50"], 2, install_command("hubs")),
        (["--model", "bad.keras"], 1, "bad.keras is not a model saved by Keras; expected a zip file."),
        (["--model", "nets/model.keras", "--weights", "none"], 2, "'nets/model.keras' comes with its own"),
        (
            ["--weights", "some"],
            2,
            "Unknown weights 'some'; expected 'imagenet', None for random weights (on the",
        ),
    ],
)
def test_wrong_models_and_weights(run, tmp_path, examples, arguments, code, message):
    (tmp_path / "bad.keras").write_text("no model")
    exit_code, out, err = run("explain", examples / "cat.png", *arguments)
    assert (exit_code, out) == (code, "")
    assert message in err


def test_random_weights(run, examples):
    code, out, _ = run("explain", examples / "cat.png", "--weights", "none", "--targets", "0,1", "--json")
    again = run("explain", examples / "cat.png", "--weights", "none", "--targets", "0,1", "--json")[1]
    scores = [each["score"] for each in explained(code, out)["targets"]]
    assert scores == [each["score"] for each in explained(0, again)["targets"]]
    assert scores[0] != scores[1]


def test_help_says_that_code_runs(run):
    for command in ("explain", "layers"):
        code, out, _ = run(command, "--help")
        said = " ".join(out.replace("│", " ").split())
        assert code == 0
        assert "package.module:callable, which runs your code" in said
        assert "--trust" in said
        assert "Only for files of your own" in said
