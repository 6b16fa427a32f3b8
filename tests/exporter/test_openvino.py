"""Models exported for OpenVINO, run by it."""

import sys

import pytest
from tests.exporter.test_onnx import IMAGES, PICTURES, agree, classifier

import seewhy
from seewhy.errors import MissingExtraError, ModelError

openvino = pytest.importorskip("openvino")


@pytest.mark.parametrize("head", ["pooled-linear", "convolutions"])
def test_outputs_are_those_of_the_explainer(head, tmp_path):
    explainer = seewhy.Explainer(classifier(head), "gradcam", "0")
    written = seewhy.export(explainer, tmp_path / "model.xml", targets="top-2", place=True, samples=PICTURES)
    assert {path.name for path in tmp_path.iterdir()} == {"model.xml", "model.bin"}
    core = openvino.Core()
    compiled = core.compile_model(written.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"input": IMAGES})
    wanted = explainer.heatmaps(IMAGES, "top-2")
    enlarged = seewhy.Placement((12, 10), (0, 0, 12, 10)).place(wanted.values)
    agree(found[compiled.output("heatmaps")], enlarged)
    assert found[compiled.output("classes")].tolist() == wanted.indices.tolist()
    assert core.read_model(written.path).get_rt_info(["framework", "seewhy.method"]).value == "gradcam"


def test_nothing_is_left_of_a_model_that_deviates(tmp_path):
    explainer = seewhy.Explainer(classifier("perceptron"), "gradcam", "0")
    with pytest.raises(ModelError, match="deviates from its source"):
        seewhy.export(explainer, tmp_path / "model.xml", tolerance=1e-12, samples=PICTURES)
    assert list(tmp_path.iterdir()) == []


def test_without_openvino(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    explainer = seewhy.Explainer(classifier("pooled-linear"), "gradcam", "0")
    with pytest.raises(MissingExtraError, match=r"openvino is not installed. Install it with: pip install"):
        seewhy.export(explainer, tmp_path / "model.xml")
