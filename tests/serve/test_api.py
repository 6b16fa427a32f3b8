"""The API's responses, compared with the library's results."""

import base64
import io
import json
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import error_of, running, small_classifier
from tests.serve.test_worker import post

import seewhy
from seewhy.serve.settings import Settings

MODEL = "api/models/efficientnet-lite0"


def decode(array):
    return np.frombuffer(base64.b64decode(array["data"]), "<f4").reshape(array["shape"])


def test_the_heatmaps_are_the_library_s(explain, lite0, examples):
    response = explain(targets="top-2,tabby", methods="gradcam,layercam").json()
    assert response["model"] == "efficientnet-lite0"
    assert response["image"] == {"name": "cat.png", "width": 451, "height": 300}
    assert [prediction["index"] for prediction in response["predictions"]] == [282, 285, 281, 287, 904]
    assert response["predictions"][0]["name"] == "tiger cat"
    assert response["predictions"][0]["probability"] == pytest.approx(0.385, abs=0.001)
    for explanation, method in zip(response["explanations"], ("gradcam", "layercam"), strict=True):
        expected = seewhy.explain(lite0, examples / "cat.png", ["top-2", "tabby"], method)
        assert (explanation["method"], explanation["layer"]) == (method, expected.layer)
        assert [target["index"] for target in explanation["targets"]] == [282, 285, 281]
        assert explanation["box"] == list(expected.placement.box)
        np.testing.assert_array_equal(decode(explanation["heatmaps"]), expected.heatmaps)


def test_layers_side_by_side_and_one_explanation_by_an_input_level_method(cat):
    with running([("small", small_classifier())], Settings()) as address:
        layers = httpx.get(f"{address}api/models/small/layers").json()["layers"]
        assert [(layer["path"], layer["is_default"]) for layer in layers] == [("early", False), ("conv", True)]
        explanations = post(address, cat, layers="early,auto", methods="gradcam,saliency").json()["explanations"]
    assert [(row["method"], row["layer"], decode(row["heatmaps"]).shape) for row in explanations] == [
        ("gradcam", "early", (1, 16, 16)),
        ("gradcam", "conv", (1, 4, 4)),
        ("saliency", "input", (1, 16, 16)),
    ]


def test_signed_keeps_evidence_against(explain):
    plain, signed = (
        decode(explain(signed=value, targets="tench").json()["explanations"][0]["heatmaps"])
        for value in ("false", "true")
    )
    assert plain.min() == 0 > signed.min()
    np.testing.assert_array_equal(np.maximum(signed, 0), plain)


def test_heatmaps_are_checked_in_words_if_that_is_requested(explain):
    (plain,) = explain().json()["explanations"][0]["targets"]
    (checked,) = explain(check="true").json()["explanations"][0]["targets"]
    assert plain["check"] == ""
    assert checked["check"].startswith(
        "With the brightest 15% of the image blurred, the score of tiger cat goes from 9."
    )
    assert {**checked, "check": ""} == plain


def test_scores_are_logits_unless_probabilities_are_requested(explain):
    (logit,) = explain().json()["explanations"][0]["targets"]
    (probability,) = explain(score="probability").json()["explanations"][0]["targets"]
    assert logit["score"] > 1 > probability["score"] == pytest.approx(logit["probability"], abs=1e-4)


def test_the_viewer_format_is_the_viewer_s_input(explain):
    data = explain(format="viewer", targets="top-5").json()["viewer_data"]
    (image,) = data["images"]
    assert (data["format"], image["name"], image["width"], image["height"]) == (
        "seewhy-viewer",
        "cat.png",
        451,
        300,
    )
    assert [target["index"] for target in image["explanations"][0]["targets"]] == [282, 285, 281, 287, 904]


def test_the_overlay_is_the_library_s(explain, lite0, examples):
    response = explain(format="png")
    assert response.headers["content-type"] == "image/png"
    expected = seewhy.explain(lite0, examples / "cat.png").overlay()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(response.content))), expected)


def test_two_methods_are_drawn_in_one_grid(explain):
    single, grid = (
        Image.open(io.BytesIO(explain(format="png", methods=m).content)) for m in ("gradcam", "gradcam,hirescam")
    )
    assert grid.width > single.width


def test_the_report_is_self_contained(explain):
    response = explain(format="html")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "cat.png" in response.text
    assert not re.search(r'(src|href)="http', response.text)


def test_progress_is_streamed_before_the_same_result(cat):
    """The explanation that is finished first is sent at once, as a response of its own."""
    classifier = small_classifier(seconds=0.02)
    with running([("slow", classifier)], Settings()) as address:
        response = post(address, cat, methods="gradcam,smoothgrad", progress="true")
        classifier.model.seconds = 0.0
        plain = post(address, cat, methods="gradcam,smoothgrad").json()
    assert response.headers["content-type"] == "application/x-ndjson"
    *lines, last = map(json.loads, response.text.splitlines())
    progress = [line["progress"] for line in lines if line.get("progress")]
    smoothgrad = [event for event in progress if event["title"] == "SmoothGrad"]
    assert {event["title"] for event in progress} <= {"Grad-CAM", "SmoothGrad", "writing the response"}
    latest, runs = smoothgrad[-1], [event["runs"] for event in smoothgrad]
    assert latest == {
        "explanation": 2,
        "explanation_count": 2,
        "title": "SmoothGrad",
        "runs": runs[-1],
        "run_count": 50,
    }
    assert 24 <= runs[-1] <= 48  # batches of 4; the last of them may be over before it is reported
    assert all(count % 4 == 0 for count in runs)
    assert runs == sorted(runs)
    assert last["result"]["explanations"] == plain["explanations"]
    (partial,) = [line["partial"] for line in lines if "partial" in line]
    assert partial["explanations"] == plain["explanations"][:1]
    assert partial["predictions"] == plain["predictions"]


def test_a_fast_method_reports_no_progress(explain):
    explain(progress="true")
    (line,) = explain(progress="true").text.splitlines()
    assert json.loads(line)["result"]["predictions"][0]["index"] == 282


def test_an_early_error_has_its_own_status_also_with_progress(explain):
    assert error_of(explain(b"no image", progress="true"))[:2] == (415, "not_an_image")


def test_models(client):
    (model,) = client.get("api/models").json()["models"]
    assert model == {
        "name": "efficientnet-lite0",
        "kind": "classifier",
        "input_size": [224, 224],
        "class_count": 1000,
        "has_class_names": True,
        "default_layer": "top_relu6",
    }


def test_layers(client):
    layers = client.get(f"{MODEL}/layers").json()["layers"]
    assert len(layers) == len({layer["path"] for layer in layers}) > 50
    assert [layer for layer in layers if layer["is_default"]] == [
        {"path": "top_relu6", "kind": "Clip", "shape": [7, 7, 1280], "is_default": True}
    ]


@pytest.mark.parametrize(
    ("search", "indices"),
    [
        ("tiger cat", [282]),
        ("TIGER_C", [282]),
        ("282", [282]),
        ("n02123159", [282]),
        ("tiger", [292, 3, 282]),  # the exact name first, then names that begin with it
        ("zzz", []),
    ],
)
def test_searching_classes(client, search, indices):
    classes = client.get(f"{MODEL}/classes", params={"search": search}).json()["classes"]
    assert [row["index"] for row in classes][: len(indices) or None] == indices


def test_classes_are_found_by_synonyms_up_to_the_limit(client):
    classes = client.get(f"{MODEL}/classes", params={"search": "puma", "limit": 1}).json()["classes"]
    assert classes == [{"index": 286, "name": "cougar", "id": "n02125311"}]
    assert len(client.get(f"{MODEL}/classes").json()["classes"]) == 20


def test_methods(client):
    methods = {method["name"]: method for method in client.get("api/methods").json()["methods"]}
    assert set(methods) == {"auto", *seewhy.methods.METHODS}
    assert (methods["rise"]["reports_progress"], methods["gradcam"]["reports_progress"]) == (True, False)
    assert (methods["saliency"]["level"], methods["gradcam"]["level"]) == ("input", "layer")
    assert methods["gradcam"]["paper"] == "1610.02391"


def test_health(client):
    assert client.get("healthz").json() == {"status": "ok", "slots_taken": 0, "slots": 16}


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"model": "vgg16"}, 404, "unknown_model", "no model 'vgg16'. Models: efficientnet-lite0"),
        ({"model": "efficientnet-lite1"}, 404, "unknown_model", "Did you mean 'efficientnet-lite0'"),
        ({"targets": "tabbi"}, 422, "invalid_target", "Did you mean 'tabby'"),
        ({"targets": " , "}, 422, "invalid_target", "targets is empty"),
        ({"targets": "1000"}, 422, "invalid_target", "no class '?1000"),
        ({"targets": "top-1001"}, 422, "invalid_target", "more than the model's 1000 classes"),
        ({"targets": "top-21"}, 422, "invalid_target", "21 classes were requested; the limit is 20"),
        ({"methods": "gradcamm"}, 422, "invalid_method", "Did you mean 'gradcam'"),
        ({"methods": ""}, 422, "invalid_method", "expected names of methods"),
        ({"layers": "nowhere"}, 422, "invalid_layer", "There is no layer 'nowhere'"),
        ({"layers": ","}, 422, "invalid_layer", "expected 'auto', or paths of layers"),
        (
            {"methods": "gradcam,layercam,hirescam", "layers": "a,b,c"},
            422,
            "invalid_option",
            "9 explanations; the limit is 8",
        ),
        ({"score": "loud"}, 422, "invalid_field", "score: Input should be 'logit' or 'probability'"),
        ({"signed": "perhaps"}, 422, "invalid_field", "signed: "),
        ({"format": "gif"}, 422, "invalid_field", "format: "),
        ({"colour": "red"}, 422, "invalid_field", "colour: There is no such field"),
        (
            {"format": "png", "progress": "true"},
            422,
            "invalid_option",
            "progress needs format=json or format=viewer; given format=png",
        ),
        ({"targets": ["1", "2"]}, 422, "invalid_field", "targets: given more than once"),
        ({"targets": "x" * 10_001}, 400, "malformed_form", "maximum size"),
        ({f"field-{n}": "1" for n in range(21)}, 400, "malformed_form", "Too many fields"),
    ],
)
def test_invalid_fields_are_refused(explain, fields, status, code, message):
    error = error_of(explain(**fields))
    assert error[:2] == (status, code)
    assert re.search(re.escape(message) if "?" not in message else message, error[2])


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("GET", "api/nothing"), 404, "not_found"),
        (("GET", "api/models/none/layers"), 404, "unknown_model"),
        (("GET", "api/models/none/classes"), 404, "unknown_model"),
        (("GET", f"{MODEL}/classes?limit=0"), 422, "invalid_field"),
        (("GET", f"{MODEL}/classes?limit=101"), 422, "invalid_field"),
        (("GET", f"{MODEL}/classes?search={'a' * 101}"), 422, "invalid_field"),
        (("GET", "api/explain"), 405, "method_not_allowed"),
        (("DELETE", "api/models"), 405, "method_not_allowed"),
        (("GET", "docs"), 404, "not_found"),
        (("GET", "page/..%2f..%2fsettings.py"), 404, "not_found"),
        (("GET", "viewer/%2e%2e/viewer_data.py"), 404, "not_found"),
    ],
)
def test_unknown_paths_are_refused(client, request_, status, code):
    assert error_of(client.request(*request_))[:2] == (status, code)
