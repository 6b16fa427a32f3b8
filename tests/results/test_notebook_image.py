"""What a notebook stores of a result is small, whatever the result holds."""

import base64
import io
import json

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image
from tests.viewer.sample_explanation import sample_explanation

import seewhy
from seewhy.results.notebook_image import MAX_TARGETS
from seewhy.viewer.photos import jpeg_within

LIMIT = 150_000
FORMATTER = DisplayFormatter()


def stored(result):
    """Return what a notebook stores of a result at the end of a cell: texts, and images in base64, by MIME type."""
    contents, _ = FORMATTER.format(result)
    encoded = {}
    for kind, content in contents.items():
        encoded[kind] = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return encoded


def image_in(contents):
    return Image.open(io.BytesIO(base64.b64decode(contents["image/jpeg"])))


@pytest.fixture(scope="module")
def photos(examples):
    return [examples / name for name in ("cat.png", "coffee.png", "flower.jpg", "rocket.jpg")]


@pytest.mark.slow(reason="draws twelve explanations of photos; the size of one is tested above")
def test_a_notebook_of_twelve_explanations_has_less_than_two_megabytes(lite0, photos):
    explanations = [
        seewhy.explain(lite0, photo, "top-2", method)
        for photo in photos
        for method in ("gradcam", "saliency", "layercam")
    ]
    outputs = [stored(each) for each in explanations]
    sizes = [len(json.dumps(output)) for output in outputs]
    assert len(sizes) == 12
    assert max(sizes) <= LIMIT
    assert sum(sizes) <= 2_000_000
    assert {"text/plain", "text/html", "image/jpeg"} == outputs[0].keys()
    has_viewer = ["DecompressionStream" in output["text/html"] for output in outputs]
    assert has_viewer == [True, False, True] * 4  # heatmaps of saliency are as large as the input


def noise(side):
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def large(targets, side, image):
    """Return an explanation of noise, which nothing compresses."""
    heatmaps = np.random.default_rng(1).random((targets, side, side), dtype=np.float32)
    names = tuple(seewhy.TargetResult(index, "a long name " * 20, 1.0, 0.5, True) for index in range(targets))
    placement = seewhy.Placement(image.shape[:2], (0, 0, *image.shape[:2]))
    return sample_explanation(
        image=image, heatmaps=heatmaps, targets=names, placement=placement, layer="a_layer/" * 500, source="s" * 5000
    )


@pytest.mark.parametrize(("targets", "side", "pixels"), [(1, 7, 3000), (1, 224, 600), (1000, 7, 600), (400, 1, 50)])
def test_noise_of_any_size_is_stored_in_little(targets, side, pixels):
    output = stored(large(targets, side, noise(pixels)))
    assert len(json.dumps(output)) <= LIMIT
    has_viewer = "DecompressionStream" in output["text/html"]
    assert has_viewer == (targets * side * side < 10_000)
    assert ("too large for the viewer" in output["text/html"]) != has_viewer


def test_the_image_is_the_overlay_of_one_target():
    explanation = sample_explanation(
        image=np.full((60, 90, 3), 90, np.uint8), placement=seewhy.Placement((60, 90), (0, 15, 60, 75))
    )
    one = seewhy.Explanation(
        **{**vars(explanation), "heatmaps": explanation.heatmaps[:1], "targets": explanation.targets[:1]}
    )
    with image_in(stored(one)) as image:
        assert image.size == (90, 60)
        difference = np.abs(np.asarray(image).astype(int) - one.overlay(0).astype(int))
    assert difference.mean() < 4
    assert difference[:, :10].max() <= 4


def test_of_a_large_photo_it_is_a_small_copy_in_the_same_place():
    image = np.full((1500, 2000, 3), 90, np.uint8)
    placement = seewhy.Placement((1500, 2000), (0, 250, 1500, 1750))
    whole = sample_explanation(image=image, placement=placement)
    one = seewhy.Explanation(**{**vars(whole), "heatmaps": whole.heatmaps[:1], "targets": whole.targets[:1]})
    with image_in(stored(one)) as shown:
        small = np.asarray(shown).astype(int)
    assert small.shape == (600, 800, 3)
    assert np.abs(small[300, 150:650:100] - one.overlay(0)[750, 375:1625:250].astype(int)).max() < 12
    assert np.abs(small[:, :90] - 90).max() <= 3


def test_many_targets_become_a_grid_that_says_how_many_there_are():
    output = stored(large(MAX_TARGETS + 1, 4, noise(50)))
    with image_in(output) as image:
        assert image.height > 300
    assert f"and {MAX_TARGETS - 2} more" in output["text/html"]


def test_a_comparison_and_an_inspection_are_shown(lite0, lite0_explainer, photos):
    comparison = seewhy.compare(lite0, photos[:2], ["gradcam", "layercam"], ["tabby", "cup"])
    for result in (comparison, lite0_explainer.inspect(photos[0])):
        output = stored(result)
        assert output.keys() == {"text/plain", "image/jpeg"}
        assert len(json.dumps(output)) <= LIMIT
        with image_in(output) as image:
            assert min(image.size) > 300


def test_of_a_large_comparison_the_first_overlays_are_shown():
    many = seewhy.Comparison((large(3, 4, noise(100)),) * 200)
    assert len(json.dumps(stored(many))) <= LIMIT


def test_a_jpeg_within_a_number_of_bytes():
    content = jpeg_within(noise(500), 400, 5_000)
    assert len(content) <= 5_000
    with Image.open(io.BytesIO(content)) as image:
        assert 40 < image.width < 400
    plain = np.full((500, 250, 3), 90, np.uint8)
    with Image.open(io.BytesIO(jpeg_within(plain, 400, 5_000))) as image:
        assert image.size == (200, 400)
