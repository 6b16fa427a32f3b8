"""Detectors, segmenters and models of one value, on the web page and in the API."""

import io

import keras
import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from tests.attribution.small_detector import SIDE, SmallDetector
from tests.serve.conftest import error_of, running, small_classifier
from tests.serve.test_api import decode
from tests.serve.test_page import choose, options, violations
from tests.serve.test_worker import post

import seewhy
from seewhy import Classifier, Preprocessing
from seewhy.serve.settings import Settings

BLACK = np.zeros((60, 90, 3), np.uint8)


def picture(tmp_path=None):
    """Return a picture with two bright squares, or its path."""
    pixels = BLACK.copy()
    pixels[8:28, 10:35], pixels[34:54, 50:75] = 255, 230
    if tmp_path is None:
        return pixels
    Image.fromarray(pixels).save(tmp_path / "squares.png")
    return tmp_path / "squares.png"


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def detector():
    """Return an untrained detector that finds what is bright, and nothing in a black picture."""
    torch.manual_seed(0)
    model = SmallDetector(0.5).eval()
    with torch.no_grad():
        model.classes.weight[...] = 1
        model.classes.weight[1] *= 0.5
        black, white = (model.maps(torch.full((1, 3, SIDE, SIDE), value))[0].amax((0, 2, 3)) for value in (0.0, 1.0))
        model.classes.bias -= black + 0.2 * (white - black)
    preprocess = Preprocessing(size=(SIDE, SIDE), std=255.0)
    return Classifier(model, preprocess=preprocess, class_names=["square", "disc"])


def segmenter():
    """Return a model that predicts bright pixels as "bright", and all others as "background"."""
    scores = keras.layers.Conv2D(2, 1, activation="softmax")
    model = keras.Sequential(
        [keras.Input((32, 48, 3)), keras.layers.Rescaling(1 / 255), keras.layers.ReLU(name="features"), scores]
    )
    scores.set_weights([np.array([[[[0, 1]] * 3]], np.float32).reshape(1, 1, 3, 2), np.array([0.5, 0], np.float32)])
    return Classifier(model, class_names=["background", "bright"])


def value():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 48, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )
    return Classifier(model)


@pytest.fixture(scope="module")
def served():
    models = [("shapes", detector()), ("pixels", segmenter()), ("ages", value())]
    with running(models, Settings()) as address:
        yield address


def test_the_detections_are_the_library_s(served):
    response = post(served, png(picture()), targets="top-3").json()
    (expected,) = seewhy.Explainer(detector()).explain([picture()], "top-3")
    (explanation,) = response["explanations"]
    assert response["predictions"] == []
    assert explanation["layer"] == expected.layer
    assert len(explanation["targets"]) == len(expected.targets) > 1
    for target, wanted in zip(explanation["targets"], expected.targets, strict=True):
        assert (target["name"], target["index"]) == (wanted.name, wanted.index)
        assert target["box"] == pytest.approx(wanted.box)
        assert target["probability"] == pytest.approx(wanted.probability)
    np.testing.assert_allclose(decode(explanation["heatmaps"]), expected.heatmaps, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"targets": "ball"}, "invalid_target", "There is no class 'ball'"),
        ({"targets": "7"}, "invalid_target", "There is no class '7'"),
        (
            {"targets": "output 0"},
            "invalid_target",
            "'output 0' is no target of shapes, which is a detector",
        ),
        ({"methods": "scorecam"}, "invalid_method", "does not tell the detections of a detector apart"),
        ({"score": "probability"}, "invalid_option", "the score of a detection is its class logit"),
    ],
)
def test_what_a_detector_does_not_explain(served, fields, code, message):
    status, given, text = error_of(post(served, png(picture()), **fields))
    assert (status, given) == (422, code)
    assert message in text


@pytest.mark.parametrize("fields", [{"targets": "top-5"}, {"targets": "disc"}])
def test_an_image_without_detections_is_no_failure_of_the_server(served, fields):
    status, code, message = error_of(post(served, png(BLACK), **fields))
    assert (status, code) == (422, "not_predicted")
    assert "The detector finds nothing in the image" in message


def test_the_pixels_of_classes(served):
    response = post(served, png(picture()), model="pixels", targets="top-5").json()
    (expected,) = seewhy.Explainer(segmenter()).explain([picture()], "top-5")
    (explanation,) = response["explanations"]
    assert [target["name"] for target in explanation["targets"]] == ["bright"]  # and not the background
    np.testing.assert_allclose(decode(explanation["heatmaps"]), expected.heatmaps, rtol=1e-5)
    status, code, message = error_of(post(served, png(BLACK), model="pixels", targets="bright"))
    assert (status, code) == (422, "not_predicted")
    assert "predicts 'bright' at no pixel of the image" in message


def test_one_value(served):
    (target,) = post(served, png(picture()), model="ages", targets="top-1").json()["explanations"][0]["targets"]
    assert (target["name"], target["index"], target["probability"]) == ("output 0", -1, None)


class TwoBoxes(torch.nn.Module):
    """Two detections in every picture, scored by how bright and how dark it is; 0 where that is less than half."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(3, 2, 1)
        with torch.no_grad():
            self.features.weight[:] = torch.tensor([1.0, -1.0])[:, None, None, None] / 3
            self.features.bias[:] = torch.tensor([-0.6, 0.4])

    def forward(self, images):
        boxes = torch.tensor([[0.0, 0.0, 16.0, 16.0], [8.0, 8.0, 32.0, 32.0]])
        logits = torch.relu(self.features(images)).mean((2, 3))
        return [{"boxes": boxes, "labels": torch.tensor([0, 1]), "scores": row.sigmoid()} for row in logits]


def test_a_detector_whose_detections_in_a_grey_picture_cannot_be_explained_is_served():
    """Its ReLUs are 0 there, so that no layer carries the scores; in another picture they are not."""
    preprocess = Preprocessing(size=(32, 32), std=255.0, channels_first=True)
    with running([("two", Classifier(TwoBoxes(), preprocess=preprocess))], Settings()) as address:
        response = post(address, png(picture()), targets="top-2").json()
        assert [target["name"] for target in response["explanations"][0]["targets"]] == ["class 1", "class 0"]
        grey = post(address, png(np.full_like(BLACK, 128)), targets="top-2")
        assert error_of(grey)[:2] == (422, "invalid_layer")


def test_a_class_whose_name_has_commas():
    classifier = small_classifier(class_names=["red, a square", "red", "green"])
    with running([("named", classifier)], Settings()) as address:
        response = post(address, png(picture()), targets="green,red, a square,1").json()
        targets = response["explanations"][0]["targets"]
        assert [target["name"] for target in targets] == ["green", "red, a square", "red"]


def test_one_value_beside_itself(served):
    targets = post(served, png(picture()), model="ages", targets="top-1,output 0").json()["explanations"][0]["targets"]
    assert [(target["name"], target["index"]) for target in targets] == [("output 0", -1)] * 2


@pytest.mark.parametrize("format_", ["html", "png"])
def test_a_report_and_an_overlay_of_detections(served, format_):
    response = post(served, png(picture()), targets="top-2", format=format_)
    assert response.status_code == 200
    if format_ == "html":
        assert '"detections"' in response.text
    else:
        assert np.asarray(Image.open(io.BytesIO(response.content))).std() > 0


def test_the_page_shows_detections_with_their_boxes(open_page, served, tmp_path):
    page = open_page(at=served)
    choose(page, picture(tmp_path))
    assert page.locator("#summary").inner_text().startswith("shapes detects square ")
    boxes = page.locator("#viewer .detection")
    assert boxes.count() == page.locator("#viewer .side ol:visible li").count() > 1
    before = page.locator("#viewer h3:visible").first.inner_text()
    page.locator("#viewer .side ol:visible button").nth(1).click()
    assert page.locator("#viewer h3:visible").first.inner_text() != before
    assert violations(page) == []
    page.get_by_role("combobox", name="Classes").fill("disc")
    expect(options(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#progress")).to_be_hidden(timeout=30_000)
    assert page.get_by_role("button", name="Remove The 5 surest detections").is_visible()


def test_the_page_says_that_nothing_was_found(open_page, served, tmp_path):
    Image.fromarray(BLACK).save(tmp_path / "black.png")
    page = open_page(at=served)
    page.set_input_files("#file", tmp_path / "black.png")
    expect(page.get_by_role("alert")).to_contain_text("The detector finds nothing in the image")
    choose(page, picture(tmp_path))
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize(
    ("model", "choice", "summary"),
    [
        ("pixels", "The 5 largest classes", "pixels finds bright"),
        ("ages", "The value", "ages predicts output 0: "),
    ],
)
def test_the_page_shows_what_other_models_find(open_page, served, tmp_path, model, choice, summary):
    page = open_page(at=served)
    page.get_by_role("combobox", name="Model").select_option(model)
    expect(page.locator("#fields").get_by_text(choice)).to_be_visible()
    choose(page, picture(tmp_path))
    assert page.locator("#summary").inner_text().startswith(summary)
    assert page.locator("#viewer canvas:visible").count() == 1
    assert "so a bright one does not mean a high score" in page.locator(".caption:visible").inner_text()
