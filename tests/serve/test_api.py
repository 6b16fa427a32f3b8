"""What the API answers, against what the library says."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import refused

import seewhy

MODEL = "api/models/efficientnet-lite0"


def array_of(numbers):
    return np.frombuffer(base64.b64decode(numbers["data"]), "<f4").reshape(numbers["shape"])


def test_the_numbers_are_the_library_s(ask, lite0, examples):
    answer = ask(targets="top-2,tabby", methods="gradcam,layercam").json()
    assert answer["model"] == "efficientnet-lite0"
    assert answer["image"] == {"name": "cat.png", "width": 451, "height": 300}
    assert [each["index"] for each in answer["predictions"]] == [282, 285, 281, 287, 904]
    assert answer["predictions"][0]["name"] == "tiger cat"
    assert answer["predictions"][0]["probability"] == pytest.approx(0.385, abs=0.001)
    for found, method in zip(answer["maps"], ("gradcam", "layercam"), strict=True):
        expected = seewhy.explain(lite0, examples / "cat.png", ["top-2", "tabby"], method)
        assert (found["method"], found["layer"]) == (method, expected.layer)
        assert [each["index"] for each in found["targets"]] == [282, 285, 281]
        assert found["box"] == list(expected.placement.box)
        np.testing.assert_array_equal(array_of(found["heatmaps"]), expected.heatmaps)


def test_layers_side_by_side_and_one_map_of_a_method_that_looks_at_none(ask, client):
    early = client.get(f"{MODEL}/layers").json()["layers"][40]
    found = ask(layers=f"{early['path']},auto", methods="gradcam,saliency").json()["maps"]
    assert [(each["method"], each["layer"], array_of(each["heatmaps"]).shape) for each in found] == [
        ("gradcam", early["path"], (1, *early["shape"][:2])),
        ("gradcam", "top_relu6", (1, 7, 7)),
        ("saliency", "input", (1, 224, 224)),
    ]


def test_signed_keeps_what_speaks_against(ask):
    plain, signed = (
        array_of(ask(signed=each, targets="tench").json()["maps"][0]["heatmaps"]) for each in ("false", "true")
    )
    assert plain.min() == 0 > signed.min()
    np.testing.assert_array_equal(np.maximum(signed, 0), plain)


def test_scores_are_logits_unless_probabilities_are_asked_for(ask):
    (logit,) = ask().json()["maps"][0]["targets"]
    (probability,) = ask(score="probability").json()["maps"][0]["targets"]
    assert logit["score"] > 1 > probability["score"] == pytest.approx(logit["probability"], abs=1e-4)


def test_the_document_is_the_viewer_s(ask):
    document = ask(format="document", targets="top-5").json()["document"]
    (image,) = document["images"]
    assert (document["format"], image["name"], image["width"], image["height"]) == (
        "seewhy-viewer",
        "cat.png",
        451,
        300,
    )
    assert [each["index"] for each in image["maps"][0]["targets"]] == [282, 285, 281, 287, 904]


def test_the_overlay_is_the_library_s(ask, lite0, examples):
    answer = ask(format="png")
    assert answer.headers["content-type"] == "image/png"
    expected = seewhy.explain(lite0, examples / "cat.png").overlay()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected)


def test_several_methods_are_drawn_in_one_grid(ask):
    one, two = (Image.open(io.BytesIO(ask(format="png", methods=m).content)) for m in ("gradcam", "gradcam,hirescam"))
    assert two.width > one.width


def test_the_report_is_a_page_by_itself(ask):
    answer = ask(format="html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "cat.png" in answer.text
    assert not re.search(r'(src|href)="http', answer.text)


def test_progress_comes_in_lines_and_then_the_same_answer(ask):
    answer = ask(methods="smoothgrad", progress="true")
    assert answer.headers["content-type"] == "application/x-ndjson"
    *progress, last = map(json.loads, answer.text.splitlines())
    assert progress[-1]["progress"] == {"part": 1, "parts": 1, "title": "SmoothGrad", "done": 48, "total": 50}
    done = [each["progress"]["done"] for each in progress if each["progress"]]
    assert done == sorted(done)
    plain = ask(methods="smoothgrad").json()
    assert last["result"]["maps"] == plain["maps"]


def test_what_takes_no_time_tells_of_no_progress(ask):
    ask(progress="true")
    (line,) = ask(progress="true").text.splitlines()
    assert json.loads(line)["result"]["predictions"][0]["index"] == 282


def test_what_goes_wrong_before_the_first_line_has_its_own_status(ask):
    assert refused(ask(b"no image", progress="true"))[:2] == (415, "not_a_image")


def test_models(client):
    (model,) = client.get("api/models").json()["models"]
    assert model == {
        "name": "efficientnet-lite0",
        "input_size": [224, 224],
        "classes": 1000,
        "has_names": True,
        "layer": "top_relu6",
    }


def test_layers(client):
    layers = client.get(f"{MODEL}/layers").json()["layers"]
    assert len(layers) == len({each["path"] for each in layers}) > 50
    assert [each for each in layers if each["is_default"]] == [
        {"path": "top_relu6", "kind": "ReLU", "shape": [7, 7, 1280], "is_default": True}
    ]


@pytest.mark.parametrize(
    ("search", "indices"),
    [
        ("tiger cat", [282]),
        ("TIGER_C", [282]),
        ("282", [282]),
        ("n02123159", [282]),
        ("tiger", [292, 3, 282]),  # its own name, then names it begins, in their order
        ("zzz", []),
    ],
)
def test_searching_classes(client, search, indices):
    found = client.get(f"{MODEL}/classes", params={"search": search}).json()["classes"]
    assert [each["index"] for each in found][: len(indices) or None] == indices


def test_classes_are_found_by_other_names_too_and_not_more_than_asked_for(client):
    found = client.get(f"{MODEL}/classes", params={"search": "puma", "limit": 1}).json()["classes"]
    assert found == [{"index": 286, "name": "cougar", "id": "n02125311"}]
    assert len(client.get(f"{MODEL}/classes").json()["classes"]) == 20


def test_methods(client):
    methods = {each["name"]: each for each in client.get("api/methods").json()["methods"]}
    assert set(methods) == set(seewhy.methods.METHODS)
    assert (methods["rise"]["reruns"], methods["gradcam"]["reruns"]) == (True, False)
    assert methods["gradcam"]["paper"] == "1610.02391"


def test_health(client):
    assert client.get("healthz").json() == {"status": "ok", "jobs": 0, "slots": 16}


@pytest.mark.parametrize(
    ("fields", "status", "code", "said"),
    [
        ({"model": "vgg16"}, 404, "unknown_model", "no model 'vgg16' here. Models: efficientnet-lite0"),
        ({"model": "efficientnet-lite1"}, 404, "unknown_model", "Did you mean 'efficientnet-lite0'"),
        ({"targets": "tabbi"}, 422, "target", "Did you mean 'tabby'"),
        ({"targets": " , "}, 422, "target", "targets is empty"),
        ({"targets": "1000"}, 422, "target", "no class '?1000"),
        ({"targets": "top-1001"}, 422, "target", "more than the model's 1000 classes"),
        ({"targets": "top-21"}, 422, "target", "21 classes were asked for; the limit is 20"),
        ({"methods": "gradcamm"}, 422, "method", "Did you mean 'gradcam'"),
        ({"methods": ""}, 422, "method", "expected names of methods"),
        ({"layers": "nowhere"}, 422, "layer", "There is no layer 'nowhere'"),
        ({"layers": ","}, 422, "layer", "expected paths of layers"),
        ({"methods": "gradcam,layercam,hirescam", "layers": "a,b,c"}, 422, "option", "9 maps; the limit is 8"),
        ({"score": "loud"}, 422, "field", "score: Input should be 'logit' or 'probability'"),
        ({"signed": "perhaps"}, 422, "field", "signed: "),
        ({"format": "gif"}, 422, "field", "format: "),
        ({"colour": "red"}, 422, "field", "colour: There is no such field"),
        ({"format": "png", "progress": "true"}, 422, "option", "progress goes with the formats json and document"),
        ({"targets": ["1", "2"]}, 422, "field", "targets: given twice"),
        ({"targets": "x" * 10_001}, 400, "bad_form", "maximum size"),
        ({f"field-{n}": "1" for n in range(21)}, 400, "bad_form", "Too many fields"),
    ],
)
def test_what_cannot_be_meant_is_refused(ask, fields, status, code, said):
    found = refused(ask(**fields))
    assert found[:2] == (status, code)
    assert re.search(re.escape(said) if "?" not in said else said, found[2])


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("GET", "api/nothing"), 404, "not_found"),
        (("GET", "api/models/none/layers"), 404, "unknown_model"),
        (("GET", "api/models/none/classes"), 404, "unknown_model"),
        (("GET", f"{MODEL}/classes?limit=0"), 422, "field"),
        (("GET", f"{MODEL}/classes?limit=101"), 422, "field"),
        (("GET", f"{MODEL}/classes?search={'a' * 101}"), 422, "field"),
        (("GET", "api/explain"), 405, "method_not_allowed"),
        (("DELETE", "api/models"), 405, "method_not_allowed"),
        (("GET", "docs"), 404, "not_found"),
        (("GET", "page/..%2f..%2fsettings.py"), 404, "not_found"),
        (("GET", "viewer/%2e%2e/document.py"), 404, "not_found"),
    ],
)
def test_what_is_not_there(client, request_, status, code):
    assert refused(client.request(*request_))[:2] == (status, code)
