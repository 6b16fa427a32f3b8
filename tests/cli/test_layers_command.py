"""`seewhy layers --check`: the evidence about every layer."""

import json
import re

import keras
import pytest


@pytest.fixture
def residual(tmp_path):
    """A file with a model whose branch carries a part of the score, and whose sum carries all of it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = keras.layers.Add(name="sum")([x, keras.layers.Conv2D(4, 3, padding="same", name="branch")(x)])
    x = keras.layers.Dense(3, name="head")(keras.layers.GlobalAveragePooling2D()(x))
    path = tmp_path / "residual.keras"
    keras.Model(image, x).save(path)
    return str(path)


ARGUMENTS = ("--check", "--preprocessing", "0..1")


def test_the_table_has_the_evidence_about_each_layer(run, residual):
    code, out, _ = run("layers", residual, *ARGUMENTS)
    rows = {cells[0]: cells[1:] for cells in (re.split(" {2,}", line.strip()) for line in out.splitlines())}
    assert (code, rows["layer"][2:5]) == (0, ["positions", "bypass", "axes"])
    assert rows["first"][2:] == ["100%", "0.00", "ok"]
    assert rows["sum"][2:] == ["100%", "0.00", "ok", "<- auto"]
    assert 0.1 < float(rows["branch"][3]) <= 1


def test_json_has_what_is_wrong_with_a_layer(run, residual):
    code, out, _ = run("layers", residual, *ARGUMENTS, "--json")
    found = json.loads(out)
    by_path = {layer["path"]: layer for layer in found["layers"]}
    assert (code, found["auto"], by_path["sum"]["faults"]) == (0, "sum", [])
    assert (by_path["sum"]["positions"], by_path["sum"]["bypass"]) == (1, 0)
    (fault,) = by_path["branch"]["faults"]
    assert fault.endswith("The heatmap shows only what passes through the layer.")


def test_a_model_that_auto_refuses(run, tmp_path):
    """The score reads one position of the only layer."""
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="features")(image)
    keras.Model(image, keras.layers.Dense(3)(x[:, 0, 0])).save(tmp_path / "corner.keras")
    code, out, _ = run("layers", tmp_path / "corner.keras", "--preprocessing", "0..1")
    assert (code, "<- auto" in out) == (0, False)
    assert "auto selects no layer: --layer auto found no layer whose positions reach the score" in out
    assert "features (1 of 256 positions reach the score)" in out


def test_the_call_of_a_shared_layer_that_auto_selects(run, tmp_path):
    image = keras.Input((16, 16, 3))
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    x = keras.layers.Dense(3, name="head")(keras.layers.Flatten()(shared(shared(image))))
    keras.Model(image, x).save(tmp_path / "twice.keras")
    code, out, _ = run("layers", tmp_path / "twice.keras", "--preprocessing", "0..1", "--json")
    assert (code, json.loads(out)["auto"]) == (0, "shared#2")
