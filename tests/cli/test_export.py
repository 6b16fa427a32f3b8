"""`seewhy export`."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper


@pytest.fixture
def model(tmp_path):
    """A convolution, a mean and a linear layer in an ONNX file of three classes."""
    random = np.random.default_rng(0)
    weights = {"kernel": random.normal(size=(4, 3, 3, 3)), "dense": random.normal(size=(4, 3))}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixels", "kernel"], ["convolved"]),
            helper.make_node("Relu", ["convolved"], ["features"]),
            helper.make_node("ReduceMean", ["features"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["mean", "dense"], ["logits"]),
        ],
        "small",
        [helper.make_tensor_value_info("pixels", 1, ["N", 3, 8, 6])],
        [helper.make_tensor_value_info("logits", 1, ["N", 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    proto.metadata_props.add(key="seewhy.class_names", value='["cat", "dog", "owl"]')
    proto.metadata_props.add(key="seewhy.preprocessing", value='{"std": 255}')
    onnx.save(proto, tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def test_a_model_is_exported_and_explained(run, model, tmp_path, examples):
    path = tmp_path / "explained.onnx"
    code, out, err = run("export", model, "--out", path, "--targets", "owl,cat", "--method", "hirescam", "--preprocess")
    assert (code, err) == (0, "")
    assert f"{path}\ninputs: image; outputs: scores, probabilities, heatmaps\nhirescam at features: one product" in out
    code, out, err = run("explain", examples / "cat.png", "--model", path, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    (explained,) = json.loads(out)["explanations"]
    assert {prediction["name"] for prediction in explained["predictions"]} == {"cat", "dog", "owl"}
    assert explained["layer"] == "features"


def test_as_json(run, model, tmp_path):
    code, out, _ = run("export", model, "--out", tmp_path / "a.onnx", "--targets", "all", "--place", "--json")
    assert code == 0
    written = json.loads(out)
    assert (written["method"], written["layer"], written["backward_passes"]) == ("gradcam", "features", 0)
    assert written["metadata"]["seewhy.class_names"] == '["cat", "dog", "owl"]'
    assert written["deviation"] < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "rise"], "RISE runs the model many times"),
        (["--method", "gradcam,rise"], "--method names 2 methods"),
        (["--out", "a.pb"], "Cannot export to 'a.pb'; expected a name with the suffix"),
        (["--to", "tflite"], "Unknown format 'tflite'"),
        (["--to", "savedmodel"], "'small' is a model of onnx. Export it to ONNX or OpenVINO."),
        (["--targets", "unicorn"], "unicorn"),
        (["--targets", "top-7"], "'top-7' selects more than the model's 3 classes"),
        (["--layer", "featurs"], "Did you mean 'features'?"),
        (["--tolerance", "2"], "tolerance is 2.0; expected a share"),
        (["--tolerance", "1e-12"], "Give another layer or method; or a --tolerance"),
        (["--sample", "missing.png"], "missing.png"),
    ],
)
def test_mistakes_are_words(run, model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("export", model, *arguments)
    assert (code, message in err) == (2, True), err
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]


def test_a_folder_that_cannot_be_written(run, model):
    code, _, err = run("export", model, "--out", model / "a.onnx")
    assert (code, "is no folder" in err) == (1, True)
