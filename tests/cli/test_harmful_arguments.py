"""What was attacked on the command line: each is one error message and exit code 2, and no traceback.

Those of the library are in tests/models and tests/contracts; here is shown that nothing on the way to it fails.
"""

import contextlib
import json
import os
import sys

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seewhy
from seewhy.cli.method_options import parse_methods
from seewhy.cli.options import TrustOption
from seewhy.errors import SeewhyError
from seewhy.images.finding import find_images
from seewhy.images.reading import read

# Keras itself, saving on TensorFlow with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model in a file, in the current folder."""
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "model.keras"


@pytest.fixture
def error_of(run):
    """Run a command that must fail with exit code 2, and return its error in one line."""

    def error_of(*arguments):
        code, _, errors = run(*arguments)
        assert code == 2
        return " ".join(errors.split())

    return error_of


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"version": 1, "preprocessing": {"mean": 1%s}}' % ("0" * 400), "'preprocessing.mean' is 1000"),
        ('{"version": 1, "preprocessing": {"std": 1%s}}' % ("0" * 5000), "is not JSON: Exceeds the limit"),
        ('{"version": 1, "input_size": [1e9, 1e9]}', "'input_size' is [1000000000.0, 1000000000.0]"),
        ('{"version": 1, "input_size": [1000000000, 2]}', "'input_size' is [1000000000, 2]"),
        ('{"version": 1, "preprocessing": {"std": 1e-308}}', "'preprocessing.std' is 1e-308"),
        ('{"version": 1, "layer": "a\\u0000b"}', "There is no layer"),
    ],
)
def test_numbers_of_a_sidecar(model, error_of, content, message):
    model.with_suffix(".json").write_text(content)
    assert message in error_of("layers", model)


@pytest.mark.parametrize("target", ["model.json", "nowhere.json", "/dev/zero"])
def test_a_sidecar_that_is_a_link_to_itself_to_nowhere_or_to_a_device(model, run, target):
    model.with_suffix(".json").symlink_to(target)
    code, _, errors = run("layers", model)
    assert code in (1, 2)
    assert "model.json" in errors
    assert errors.startswith("Error: ")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("source", ["sys:exit", "builtins:breakpoint", "os:_exit", "os:abort", "posix:_exit"])
def test_functions_of_python_that_end_or_stop_the_process(error_of, source):
    assert "is a module of Python itself" in error_of("layers", source)


def test_a_function_that_ends_the_process_under_another_name(error_of, model):
    model.with_name("renamed.py").write_text("from sys import exit as build\n")
    message = error_of("layers", "renamed:build")
    sys.modules.pop("renamed", None)
    assert message.startswith("Error: Cannot load 'renamed:build': calling it failed")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("masks=" + "9" * 25, "masks is 9999999999999999999999999; expected an integer, 1 or more, up to 1,000,000"),
        ("masks=" + "-" * 5000 + "1", "has 5,001 characters; the limit is 1,000"),
        ("masks=" + "-" * 900 + "1", "masks is"),
        ("masks=1e308", "masks is 1e+308; expected an integer"),
        ("grid=1000000000", "grid is 1000000000; expected an integer"),
        ("gamma=1e308", "gamma is 1e+308; expected a number above 0, up to 1e+30"),
        ("samples=100000000", "samples is 100000000; expected an integer, 1 or more, up to 1,000,000"),
        ("a\0b=1", "Unknown option"),
    ],
)
def test_options_of_methods(error_of, model, examples, setting, message):
    method = {"gamma": "kpcacam", "samples": "smoothgrad"}.get(setting.partition("=")[0], "rise")
    found = error_of("explain", examples / "cat.png", "--model", model, "--method", method, "--set", setting)
    assert message in found
    assert len(found) < 2000


@pytest.mark.parametrize("targets", ["9" * 5000, "top-" + "9" * 5000, "-" * 5000, "a\0b", "²", "top-0"])
def test_targets(run, model, examples, targets):
    code, _, errors = run("explain", examples / "cat.png", "--model", model, f"--targets={targets}")
    assert code == 2
    assert len(errors) < 2500


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "a\0.png"),
        ("explain", "cat.png", "--model", "a\0.keras"),
        ("explain", "cat.png", "--model", "torchvision:a\0b"),
        ("explain", "cat.png", "--weights", "a\0b.weights.h5"),
        ("layers", "a\0b:build"),
        ("explain", "cat.png", "--layer", "a\0b"),
        ("inspect", "a\0.png"),
        ("train", "digits", "a\0.npz", "--out", "run"),
        ("train", "transfer", "a\0", "--out", "run"),
        ("errors", "a\0"),
    ],
)
def test_null_characters_in_names(run, arguments):
    code, _, errors = run(*arguments)
    assert code in (1, 2)
    assert errors
    assert not os.path.exists("run")


@pytest.mark.parametrize("command", ["explain", "inspect"])
def test_a_null_character_in_the_name_of_the_output_folder(run, model, examples, command):
    code, _, errors = run(command, examples / "cat.png", "--model", model, "--out", "a\0b")
    assert code in (1, 2)
    assert "Error" in errors


def test_the_help_of_trust_says_what_it_allows():
    help_text = TrustOption.__metadata__[0].help
    for word in ("Lambda", "functions of Keras", "files", "internet", "settings"):
        assert word in help_text


NAMES = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    [
        "\0",
        "~",
        "~nobody/a",
        "/" * 300,
        "a" * 300,
        "a/" * 3000,
        "[" * 500,
        "**/*",
        "-" * 5000,
        "..",
        "\ud800",
        "%s",
        "con",
    ]
)


@FUZZ
@given(name=NAMES, suffix=st.sampled_from(["", ".png", ".keras", ".h5", "/", "/*.png"]))
def test_any_name_is_found_or_is_an_error_of_ours(tmp_path, name, suffix):
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        for function in (seewhy.load, find_images, read):
            with contextlib.suppress(SeewhyError):
                function(name + suffix)


@FUZZ
@given(text=st.text(max_size=40) | st.text("masks=0123456789.e-+([{}])'\",:#_jx ", max_size=40))
def test_any_setting_is_parsed_or_is_an_error_of_ours(text):
    for setting in (text, f"masks={text}", f"gamma={text}"):
        with contextlib.suppress(SeewhyError):
            parse_methods("rise,kpcacam", [setting])


@FUZZ
@given(content=st.recursive(st.none() | st.floats() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_any_json_beside_a_model_is_a_sidecar_or_an_error_of_ours(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SeewhyError):
        seewhy.models.sidecar.read(path)
