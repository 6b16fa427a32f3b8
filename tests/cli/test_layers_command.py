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
