"""Samples of several images: a pane for each, named by its input, and one list of targets for all."""

import numpy as np
import pytest
from PIL import Image
from tests.viewer.sample_explanation import sample_explanation
from tests.viewer.test_accessibility import violations

from seewhy import Placement
from seewhy.errors import OptionError
from seewhy.viewer.report import write_report
from seewhy.viewer.viewer_data import viewer_data


class Sample:
    """What the viewer reads of the explanation of several images."""

    def __init__(self, explanations, other_inputs=None):
        self.explanations, self.other_inputs = explanations, other_inputs or {}

    def items(self):
        return self.explanations.items()

    def _repr_jpeg_(self):
        raise NotImplementedError  # only notebooks without widgets read it


def image_explanation(number, **changes):
    """Return an explanation of 40 x 60 or, for an odd number, of 80 x 50 pixels, with the targets of all others."""
    size = (80, 50) if number % 2 else (40, 60)
    values = {
        "image": np.full((*size, 3), 60 * (number + 1), np.uint8),
        "targets": sample_explanation().targets,
        "heatmaps": np.random.default_rng(number).random((3, 3 + number, 4), dtype=np.float32) * (number + 1),
        "placement": Placement(size, (0, 0, *size)),
        "source": f"photos/{'abc'[number]}.png",
        "layer": f"tower/conv#{number}",
    }
    return sample_explanation(**{**values, **changes})


def pair(**changes):
    each = {"left": image_explanation(0, **changes), "right": image_explanation(1, **changes)}
    return Sample(each, {"age": 63})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    samples = [pair(), pair(method="layercam", title="LayerCAM")]
    return write_report(samples, tmp_path_factory.mktemp("reports") / "pair.html")


def titles(page):
    return page.locator(".pane h3").all_inner_texts()


def test_the_data_has_every_image():
    (entry,) = viewer_data([pair(), pair(title="LayerCAM")])["images"]
    assert entry["name"] == "a.png, b.png"
    sizes = [(row["name"], row["height"], row["width"]) for row in entry["inputs"]]
    assert sizes == [("left", 40, 60), ("right", 80, 50)]
    assert [(each["layer"], each["rows"]) for each in entry["explanations"]] == [("tower/conv#0", 3)] * 2
    assert [other["rows"] for other in entry["explanations"][0]["others"]] == [4]
    assert entry["note"] == "The model also received age = 63."
    with pytest.raises(OptionError, match="one URL for a sample of several images"):
        viewer_data([pair()], photo_urls=["blob:1"])


def test_each_image_has_a_pane_and_all_share_the_targets(open_page, canvas_pixels, report):
    page = open_page(report, width=1280)
    assert titles(page) == ["left", "right"]
    page.locator("ol:visible button").nth(1).hover()
    assert page.locator(".view .heading h3").inner_text().startswith("dog")
    for position, each in enumerate(pair().explanations.values()):
        drawn = canvas_pixels(page.locator(".pane canvas").nth(position)).astype(int)
        assert np.abs(drawn - each.overlay(1)).max() <= 2
        assert page.locator(".legend").nth(position).inner_text().split()[-1] == f"{each.heatmaps[1].max():.3g}"
    assert "have the same units in all images" in page.locator(".caption:visible").inner_text()
    page.locator(".pane canvas").last.hover()
    assert page.locator(".value").last.inner_text().startswith(("At 25, 39: ", "At 25, 40: "))
    page.locator("ol:visible button").nth(2).hover()


def test_pinned_targets_and_methods_are_rows_of_panes(open_page, report):
    page = open_page(report, width=1280)
    page.locator("ol:visible button").nth(0).click()
    page.locator("ol:visible button").nth(1).click()
    assert [title.split(" · ")[0] for title in titles(page)] == ["left: cat", "right: cat", "left: dog", "right: dog"]
    tops = [page.locator(".pane").nth(position).bounding_box()["y"] for position in range(4)]
    assert tops[0] == tops[1] < tops[2] == tops[3]
    page.get_by_label("All side by side").check()
    assert len(titles(page)) == 8
    page.get_by_role("radio", name="Difference").check()
    assert len(titles(page)) == 4


def test_a_saved_image_is_named_by_its_input(open_page, report, tmp_path):
    page = open_page(report)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").last.click()
    assert waiting.value.suggested_filename == "a_b_right_gradcam_cat.png"
    waiting.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as saved:
        assert saved.size == (50, 80)


def test_a_gallery_shows_the_images_beside_each_other(open_page, canvas_pixels, tmp_path):
    page = open_page(write_report([pair(), image_explanation(2)], tmp_path / "many.html"))
    page.wait_for_selector(".card[data-drawn] >> nth=1")
    assert canvas_pixels(page.locator(".card canvas").first).shape == (80, 170, 3)
    page.locator(".card button").first.click()
    page.wait_for_selector(".pane")
    assert titles(page) == ["left", "right"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_several_images_are_accessible(open_page, report, width, scheme):
    page = open_page(report, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
