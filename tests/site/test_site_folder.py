"""The folder of a site, and what is refused before a model is exported."""

import json
import re

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tests.site.handmade_model import handmade_model

import seewhy
from seewhy import Classifier, Explainer, Preprocessing
from seewhy.errors import MethodError, ModelError, OptionError, OutputError
from seewhy.site import browser_runtime
from seewhy.site.site_folder import Samples, check_folder, write_folder


def explainer_of(classes, *, is_linear=True):
    """Explain a convolution with a head: pooling and a linear layer; or one whose classes each take a backward pass."""
    generator = np.random.default_rng(0)
    weights = {
        "kernel": generator.normal(size=(2, 3, 4, 4)).astype(np.float32),
        "matrix": generator.normal(size=(2 if is_linear else 8, classes)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["conv"], strides=[4, 4]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool" if is_linear else "Tanh", ["relu"], ["bent"]),
        helper.make_node("Flatten", ["bent"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    classifier = Classifier(seewhy.OnnxModel(proto), preprocess=Preprocessing((8, 8), std=255.0))
    return Explainer(classifier, "gradcam", "relu")


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """Files in the place of ONNX Runtime Web, which is not run here."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in (browser_runtime.SCRIPT, browser_runtime.WASM, browser_runtime.VERSION_FILE):
        (folder / name).write_bytes(name.encode())
    for module in ("browser_runtime", "site_folder"):
        monkeypatch.setattr(f"seewhy.site.{module}.RUNTIME", folder)


@pytest.mark.usefixtures("runtime")
def test_every_file_that_the_page_names_is_in_the_folder(tmp_path):
    folder = write_folder(handmade_model(name="a<b> $x"), tmp_path / "site", Samples.of_seewhy())
    manifest = json.loads((folder / "site.json").read_text("utf-8"))
    for file in (manifest["model"]["file"], manifest["runtime"]["wasm"]):
        assert (folder / file["path"]).stat().st_size == file["bytes"]
    assert (folder / manifest["runtime"]["script"]).is_file()
    page = (folder / "index.html").read_text("utf-8")
    assert "a&lt;b&gt; $x predicts?" in page
    for path in re.findall(r'(?:href|src)="([^"#]+)"', page):
        assert (folder / path).is_file(), path
    for script in folder.rglob("*.js"):
        for path in re.findall(r'^import [^"]*from "([^"]+)";', script.read_text("utf-8"), re.MULTILINE):
            assert (script.parent / path).is_file(), (script, path)
    assert "MIT License" in (folder / "runtime/LICENSES.md").read_text()
    assert "SpaceX" in (folder / "LICENSES.txt").read_text("utf-8")
    assert not re.search(r"\son[a-z]+=|<script>|<style|javascript:", page)  # which the policy would refuse
    assert manifest["class_names"][4:] == ["crane (4)", "crane (5)"]


@pytest.mark.usefixtures("runtime")
def test_a_site_is_replaced_and_nothing_else(tmp_path):
    """Its files that are not needed any more are removed; those of others stay, such as those of Git."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / ".git").mkdir()
    write_folder(handmade_model(name="one"), folder, Samples.of_seewhy())
    (folder / "CNAME").write_text("example.org")
    (tmp_path / "mine.txt").write_text("mine")
    manifest = json.loads((folder / "site.json").read_text("utf-8"))
    manifest["files"] += ["../mine.txt", 3, "/etc/hostname", "CNAME/x", "", "\0"]
    (folder / "site.json").write_text(json.dumps(manifest))
    write_folder(handmade_model(name="other"), folder, Samples({}, {}))
    assert json.loads((folder / "site.json").read_text("utf-8"))["model"]["name"] == "other"
    assert list((folder / "samples").iterdir()) == []
    assert (folder / "CNAME").exists()
    assert (tmp_path / "mine.txt").exists()
    for content in ("{}", "[]", "no JSON"):
        (folder / "site.json").write_text(content)
        with pytest.raises(OutputError, match=r"files that are not of a site, such as 'CNAME'"):
            check_folder(folder)
    with pytest.raises(OutputError, match="Not a directory"):
        check_folder(folder / "index.html")


@pytest.mark.usefixtures("runtime")
def test_class_names_are_one_for_each_class(tmp_path):
    with pytest.raises(ModelError, match="6 classes and 1 class names"):
        write_folder(handmade_model(class_names=seewhy.ClassNames(["cat"])), tmp_path / "site", Samples({}, {}))


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("explainer", "options", "expected"),
    [
        ({"classes": 40}, {}, (None, None)),
        ({"classes": 40, "is_linear": False}, {}, (5, None)),
        ({"classes": 3, "is_linear": False}, {"targets": [2, 0]}, (None, [2, 0])),
    ],
    ids=["one product", "backward passes", "chosen"],
)
def test_the_classes_of_a_site(tmp_path, explainer, options, expected):
    """All where their heatmaps are one product; samples are copied, and none are invented for other classes."""
    Image.fromarray(np.full((3000, 20, 3), 90, np.uint8)).save(tmp_path / "my photo.png")
    folder = seewhy.write_site(
        explainer_of(**explainer), tmp_path / "site", samples=[tmp_path / "my photo.png"], **options
    )
    manifest = json.loads((folder / "site.json").read_text("utf-8"))
    assert (manifest["top"], manifest["classes"]) == expected
    assert manifest["class_count"] == explainer["classes"]
    assert (manifest["layer"], manifest["method"]["name"]) == ("relu", "gradcam")
    with Image.open(folder / "samples/sample_1.jpg") as sample:
        assert sample.size == (7, 1024)
    assert 'alt="my photo"' in (folder / "index.html").read_text("utf-8")


@pytest.mark.usefixtures("runtime")
def test_what_no_site_can_do_is_refused_before_anything_is_written(tmp_path):
    """A method that runs the model many times, and preprocessing that no graph computes."""
    classifier = explainer_of(3).classifier
    with pytest.raises(MethodError, match="cannot be a part of the exported model"):
        seewhy.write_site(Explainer(classifier, "rise"), tmp_path / "site")
    bent = Classifier(classifier.model, preprocess=Preprocessing((8, 8), finish=np.sqrt))
    with pytest.raises(OptionError, match=r"is more than cropping and resizing, which the page does"):
        seewhy.write_site(Explainer(bent, "gradcam", "relu"), tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(("is_clone", "remedy"), [(True, "make -C .* browser-runtime"), (False, "pip install --force")])
def test_without_onnx_runtime_web_the_remedy_is_said(tmp_path, monkeypatch, is_clone, remedy):
    monkeypatch.setattr(browser_runtime, "RUNTIME", tmp_path / "none")
    monkeypatch.setattr(browser_runtime, "CLONE", tmp_path)
    if is_clone:
        (tmp_path / "hatch_build.py").touch()
    with pytest.raises(OutputError, match=remedy):
        seewhy.write_site(explainer_of(3), tmp_path / "site")
