import base64
import json

import numpy as np
import pytest
from tests.viewer.made import made

from seewhy import Placement
from seewhy.errors import InputError, OptionError
from seewhy.images.colour import color_table
from seewhy.viewer.photos import FEW, HUNDREDS, MANY, ONE, PhotoLimits, limits_for
from seewhy.viewer.viewer_data import document_of


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_a_document_says_all_that_is_drawn():
    explanation = made()
    document = json.loads(json.dumps(document_of([explanation]), allow_nan=False))
    assert (document["format"], document["version"]) == ("seewhy-viewer", 1)
    table = np.frombuffer(base64.b64decode(document["colormaps"]["viridis"]), np.uint8).reshape(256, 3)
    np.testing.assert_array_equal(table, color_table("viridis"))
    (image,) = document["images"]
    assert (image["name"], image["width"], image["height"]) == ("000.png", 60, 40)
    assert (image["label"], image["correct"]) == (None, None)
    assert [each["name"] for each in image["predictions"]] == ["cat", "dog", "fish", "bird"]
    (maps,) = image["maps"]
    assert maps["box"] == [2.5, 10.25, 37.5, 50.25]
    assert (maps["rows"], maps["columns"], maps["layer"], maps["title"]) == (3, 4, "conv", "Grad-CAM")
    assert (maps["model"], maps["signed"]) == ("lite", False)
    for target, heatmap in zip(maps["targets"], explanation.heatmaps, strict=True):
        np.testing.assert_array_equal(floats(target["values"]), heatmap.ravel())
        assert target["peak"] == target["signed_peak"] == heatmap.max()
    assert [target["has_evidence"] for target in maps["targets"]] == [True, True, False]


def test_the_photo_is_the_image():
    (image,) = document_of([made()])["images"]
    kind, _, content = image["photo"].partition(";base64,")
    assert kind == "data:image/png"  # without loss, as it is small
    assert photo_of(content).shape == (40, 60, 3)
    np.testing.assert_array_equal(photo_of(content), made().image)


def photo_of(content):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_a_large_photo_is_made_smaller_and_a_jpeg():
    image = np.random.default_rng(0).integers(0, 256, (300, 600, 3), dtype=np.uint8)
    large = made(image=image, placement=Placement((300, 600), (0, 0, 300, 600)))
    (image,) = document_of([large], limits=PhotoLimits(200, 10_000))["images"]
    kind, _, content = image["photo"].partition(";base64,")
    assert kind == "data:image/jpeg"
    assert photo_of(content).shape == (100, 200, 3)
    assert (image["width"], image["height"]) == (600, 300)  # what its boxes are in


def test_the_more_photos_the_smaller():
    assert [limits_for(count) for count in (1, 2, 20, 21, 200, 201)] == [ONE, FEW, FEW, MANY, MANY, HUNDREDS]


def test_photos_may_be_served_elsewhere():
    (image,) = document_of([made()], photo_urls=["blob:1"])["images"]
    assert image["photo"] == "blob:1"


def test_explanations_of_one_image_are_one_entry():
    one, two, other = made(), made(method="layercam"), made(1)
    document = document_of([one, other, two], labels=["dog", "cat", None])
    assert [each["name"] for each in document["images"]] == ["000.png", "001.png"]
    assert [[maps["method"] for maps in each["maps"]] for each in document["images"]] == [
        ["gradcam", "layercam"],
        ["gradcam"],
    ]
    assert [each["label"] for each in document["images"]] == ["dog", "cat"]


def test_images_that_were_no_files_are_told_apart_by_what_they_are():
    image = made().image
    one, two = made(source=None, image=image), made(source=None, image=image)
    other = made(source=None, image=image.copy())
    assert [each["name"] for each in document_of([one, two, other])["images"]] == ["image 1", "image 2"]
    again = document_of([made(), made(image=np.zeros((9, 9, 3), np.uint8), placement=Placement((9, 9), (0, 0, 9, 9)))])
    assert len(again["images"]) == 2  # one path, but the file was another


@pytest.mark.parametrize(
    ("label", "name", "correct"),
    [
        ("cat", "cat", True),
        ("Cat", "Cat", True),
        ("dog", "dog", False),
        (0, "cat", True),
        (3, "bird", False),
        (99, "class 99", False),
        (None, None, None),
    ],
)
def test_right_and_wrong(label, name, correct):
    (image,) = document_of([made()], labels=[label])["images"]
    assert (image["label"], image["correct"]) == (name, correct)


def test_a_folder_s_name_is_a_class_s():
    predictions = (made().predictions[0]._replace(name="Tiger cat"),)
    (image,) = document_of([made(predictions=predictions)], labels=["tiger_cat"])["images"]
    assert image["correct"] is True


def test_without_predictions_nothing_is_right_or_wrong():
    (image,) = document_of([made(predictions=())], labels=["cat"])["images"]
    assert (image["label"], image["correct"], image["predictions"]) == ("cat", None, [])


def test_evidence_against_has_a_scale_of_its_own():
    heatmaps = np.array([[[1, -4], [2, 0]]], np.float32)
    signed = made(heatmaps=heatmaps, targets=made().targets[:1])
    ((maps,),) = [each["maps"] for each in document_of([signed])["images"]]
    assert maps["signed"] is True
    assert (maps["targets"][0]["peak"], maps["targets"][0]["signed_peak"]) == (2, 4)


def test_the_peak_may_be_a_quantile():
    heatmaps = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    ((maps,),) = [
        each["maps"]
        for each in document_of([made(heatmaps=heatmaps, targets=made().targets[:1], peak_quantile=0.5)])["images"]
    ]
    assert maps["targets"][0]["peak"] == 50


def test_mistakes():
    with pytest.raises(InputError, match=r"nothing to show: no explanation was given"):
        document_of([])
    with pytest.raises(OptionError, match=r"labels has 2 entries for 1 explanations; expected one for each"):
        document_of([made()], labels=["cat", "dog"])
    with pytest.raises(OptionError, match="labels has 3 entries"):
        document_of([made()], labels="cat")
    with pytest.raises(OptionError, match="photo_urls has 0 entries"):
        document_of([made()], photo_urls=[])
