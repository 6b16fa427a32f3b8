import base64
import json

import numpy as np
import pytest
from tests.viewer.sample_explanation import sample_explanation

from seewhy import Placement
from seewhy.errors import InputError, OptionError
from seewhy.images.colour import color_table
from seewhy.viewer.photos import FEW, HUNDREDS, MANY, ONE, PhotoLimits, limits_for
from seewhy.viewer.viewer_data import viewer_data


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_the_data_has_everything_that_is_drawn():
    explanation = sample_explanation()
    data = json.loads(json.dumps(viewer_data([explanation]), allow_nan=False))
    assert (data["format"], data["version"]) == ("seewhy-viewer", 1)
    table = np.frombuffer(base64.b64decode(data["colormaps"]["viridis"]), np.uint8).reshape(256, 3)
    np.testing.assert_array_equal(table, color_table("viridis"))
    (image,) = data["images"]
    assert (image["name"], image["width"], image["height"]) == ("000.png", 60, 40)
    assert (image["label"], image["correct"]) == (None, None)
    assert [prediction["name"] for prediction in image["predictions"]] == ["cat", "dog", "fish", "bird"]
    (shown,) = image["explanations"]
    assert shown["box"] == [2.5, 10.25, 37.5, 50.25]
    assert (shown["rows"], shown["columns"], shown["layer"], shown["title"]) == (3, 4, "conv", "Grad-CAM")
    assert (shown["model"], shown["signed"]) == ("lite", False)
    for target, heatmap in zip(shown["targets"], explanation.heatmaps, strict=True):
        np.testing.assert_array_equal(floats(target["heatmap"]), heatmap.ravel())
        assert target["peak"] == target["signed_peak"] == heatmap.max()
    assert [target["has_evidence"] for target in shown["targets"]] == [True, True, False]


def test_a_small_photo_has_the_pixels_of_the_image():
    (image,) = viewer_data([sample_explanation()])["images"]
    kind, _, content = image["photo"].partition(";base64,")
    assert kind == "data:image/png"  # lossless, as it is small
    assert photo_of(content).shape == (40, 60, 3)
    np.testing.assert_array_equal(photo_of(content), sample_explanation().image)


def photo_of(content):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_a_large_photo_is_scaled_down_and_becomes_a_jpeg():
    image = np.random.default_rng(0).integers(0, 256, (300, 600, 3), dtype=np.uint8)
    large = sample_explanation(image=image, placement=Placement((300, 600), (0, 0, 300, 600)))
    (image,) = viewer_data([large], limits=PhotoLimits(200, 10_000))["images"]
    kind, _, content = image["photo"].partition(";base64,")
    assert kind == "data:image/jpeg"
    assert photo_of(content).shape == (100, 200, 3)
    assert (image["width"], image["height"]) == (600, 300)  # the size that its boxes refer to


def test_more_photos_are_smaller():
    assert [limits_for(count) for count in (1, 2, 20, 21, 200, 201)] == [ONE, FEW, FEW, MANY, MANY, HUNDREDS]


def test_photos_may_be_served_by_the_host():
    (image,) = viewer_data([sample_explanation()], photo_urls=["blob:1"])["images"]
    assert image["photo"] == "blob:1"


def test_explanations_of_one_image_are_one_entry():
    gradcam, layercam, other = sample_explanation(), sample_explanation(method="layercam"), sample_explanation(1)
    data = viewer_data([gradcam, other, layercam], labels=["dog", "cat", None])
    assert [image["name"] for image in data["images"]] == ["000.png", "001.png"]
    assert [[shown["method"] for shown in image["explanations"]] for image in data["images"]] == [
        ["gradcam", "layercam"],
        ["gradcam"],
    ]
    assert [image["label"] for image in data["images"]] == ["dog", "cat"]


def test_images_without_a_file_are_grouped_by_array():
    image = sample_explanation().image
    first, second = (sample_explanation(source=None, image=image) for _ in range(2))
    other = sample_explanation(source=None, image=image.copy())
    assert [image["name"] for image in viewer_data([first, second, other])["images"]] == ["image 1", "image 2"]
    changed = viewer_data(
        [
            sample_explanation(),
            sample_explanation(image=np.zeros((9, 9, 3), np.uint8), placement=Placement((9, 9), (0, 0, 9, 9))),
        ]
    )
    assert len(changed["images"]) == 2  # the same path, but another file


@pytest.mark.parametrize(
    ("label", "name", "correct"),
    [
        ("cat", "cat", True),
        ("Cat", "Cat", True),
        ("dog", "dog", False),
        (0, "cat", True),
        (3, "bird", False),
        (None, None, None),
    ],
)
def test_the_label_is_compared_with_the_prediction(label, name, correct):
    (image,) = viewer_data([sample_explanation()], labels=[label])["images"]
    assert (image["label"], image["correct"]) == (name, correct)


def test_a_folder_name_matches_a_class_name():
    predictions = (sample_explanation().predictions[0]._replace(name="Tiger cat"),)
    (image,) = viewer_data([sample_explanation(predictions=predictions)], labels=["tiger_cat"])["images"]
    assert image["correct"] is True


def test_without_predictions_there_is_no_verdict():
    (image,) = viewer_data([sample_explanation(predictions=())], labels=["cat"])["images"]
    assert (image["label"], image["correct"], image["predictions"]) == ("cat", None, [])


def test_signed_heatmaps_have_a_peak_of_their_own():
    heatmaps = np.array([[[1, -4], [2, 0]]], np.float32)
    signed = sample_explanation(heatmaps=heatmaps, targets=sample_explanation().targets[:1])
    ((shown,),) = [image["explanations"] for image in viewer_data([signed])["images"]]
    assert shown["signed"] is True
    assert (shown["targets"][0]["peak"], shown["targets"][0]["signed_peak"]) == (2, 4)


def test_the_peak_may_be_a_quantile():
    heatmaps = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    targets = sample_explanation().targets[:1]
    explanation = sample_explanation(heatmaps=heatmaps, targets=targets, peak_quantile=0.5)
    ((shown,),) = [image["explanations"] for image in viewer_data([explanation])["images"]]
    assert shown["targets"][0]["peak"] == 50


def test_invalid_arguments():
    with pytest.raises(InputError, match=r"nothing to show: no explanation was given"):
        viewer_data([])
    with pytest.raises(OptionError, match=r"labels has 2 entries for 1 explanations; expected one per explanation"):
        viewer_data([sample_explanation()], labels=["cat", "dog"])
    with pytest.raises(OptionError, match="labels has 3 entries"):
        viewer_data([sample_explanation()], labels="cat")
    with pytest.raises(OptionError, match="photo_urls has 0 entries"):
        viewer_data([sample_explanation()], photo_urls=[])
