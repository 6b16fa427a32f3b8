import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import MethodError, OptionError


@pytest.fixture(scope="module")
def compared(lite0, examples):
    return seewhy.compare(lite0, examples / "cat.png", ["gradcam", "hirescam"], [281, 285])


def test_every_method_explains_the_same(compared, lite0, examples):
    assert [each.method for each in compared.explanations] == ["gradcam", "hirescam"]
    alone = seewhy.explain(lite0, examples / "cat.png", [281, 285], "hirescam")
    np.testing.assert_array_equal(compared.explanations[1].heatmaps, alone.heatmaps)


def test_a_row_for_each_method_and_a_column_for_each_target(compared):
    figure = compared.figure()
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(" ")[0] for title in titles] == ["Grad-CAM:", "Grad-CAM:", "HiResCAM:", "HiResCAM:"]
    assert ["tabby" in title for title in titles] == [True, False, True, False]
    rows = [axes.get_subplotspec().rowspan.start for axes in figure.axes]
    assert rows == [0, 0, 1, 1]
    shown = figure.axes[3].images[0].get_array()
    np.testing.assert_array_equal(shown, compared.explanations[1].overlay(1))


def test_methods_stand_side_by_side_for_one_target(lite0, examples):
    compared = seewhy.compare(lite0, examples / "cat.png", ["gradcam", "hirescam"])
    assert [axes.get_subplotspec().colspan.start for axes in compared.figure().axes] == [0, 1]


def test_it_is_written_as_a_picture_and_as_nothing_else(compared, tmp_path):
    with Image.open(compared.save(tmp_path / "both.png")) as picture:
        assert picture.width > 600
    with pytest.raises(OptionError, match=r"Cannot save a comparison as '\.npz'; expected \.png, \.jpg, \.jpeg\."):
        compared.save(tmp_path / "both.npz")


@pytest.mark.parametrize("given", ["gradcam", []])
def test_one_name_is_no_list(lite0, examples, given):
    with pytest.raises(MethodError, match="compare takes a list of methods; given"):
        seewhy.compare(lite0, examples / "cat.png", given)
