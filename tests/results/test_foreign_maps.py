"""Heatmaps that another tool made."""

import numpy as np
import pytest
import torch

import seewhy
from seewhy.errors import InputError, OptionError

IMAGE = np.zeros((8, 12, 3), np.uint8)


def test_maps_lie_on_the_whole_image_at_any_resolution():
    """Cells of 4 x 4 pixels, interpolated between their centres: at the centre of a corner cell is its own value."""
    maps = {"cat": np.array([[0, 1, 4], [2, 0, 0]]), "dog": torch.tensor([[3.0]], requires_grad=True)}
    explanation = seewhy.from_maps(IMAGE, maps, title="my tool")
    assert [target.name for target in explanation.targets] == ["cat", "dog"]
    assert (explanation.heatmaps.shape, explanation.title) == ((2, 2, 3), "my tool")
    np.testing.assert_array_equal(explanation.heatmaps[0], maps["cat"])
    np.testing.assert_array_equal(explanation.heatmaps[1], np.full((2, 3), 3))
    placed = explanation.normalized_heatmap("cat")
    assert placed.shape == (8, 12)
    assert placed[0, 11] == 1  # 4 of 4, at the upper right
    assert placed[7, 0] == 0.5
    assert explanation.normalized_heatmap("dog").min() == 1


def test_a_widget_shows_them():
    data = seewhy.view(IMAGE, np.array([[0.0, -1.0]]), names=["cat"], labels=["cat"]).data["images"][0]
    assert (data["width"], data["height"], data["label"]) == (12, 8, "cat")
    shown = data["explanations"][0]
    assert (shown["signed"], shown["box"], shown["targets"][0]["name"]) == (True, [0, 0, 8, 12], "cat")
    assert shown["targets"][0]["has_evidence"] is False


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.zeros((2, 1, 7, 7)), r"shape \(2, 1, 7, 7\).*expected numbers \(u, v\), or \(T, u, v\)"),
        (np.zeros(7), r"shape \(7,\)"),
        (np.zeros((8, 12, 3)), "an image in colours"),
        (np.zeros((40, 50, 4)), "an image in colours"),  # of another size than the image
        (np.zeros((8, 12, 1)), r"last axis is one of channels\. Give heatmaps\[\.\.\., 0\]"),
        (np.array([[np.nan]]), "NaN, infinite"),
        (np.array([[1e300]]), "beyond float32"),
        (torch.eye(2).to_sparse(), "not an array.*Sparse"),
        (np.array([["a"]]), "expected numbers"),
        (np.zeros((0, 7)), "expected numbers"),
        ([], "no heatmap was given"),
        ([np.zeros((2, 2)), [[1], [2, 3]]], "not an array"),
    ],
)
def test_wrong_shapes_are_refused_in_words(maps, message):
    with pytest.raises(InputError, match=message):
        seewhy.from_maps(IMAGE, maps)


def test_the_number_types_of_frameworks_are_taken():
    import ml_dtypes

    halves = [torch.tensor([[1.5]]).bfloat16(), np.array([[1.5]], ml_dtypes.bfloat16), np.array([[1.5]], np.float16)]
    np.testing.assert_array_equal(seewhy.from_maps(IMAGE, halves).heatmaps, np.full((3, 1, 1), 1.5, np.float32))
    assert seewhy.from_maps(IMAGE, np.ones((3, 1, 1))).heatmaps.shape == (3, 1, 1)  # three of one value each
    assert seewhy.from_maps(IMAGE, [[[True]]], (name for name in ["cat"])).targets[0].name == "cat"


def test_many_small_maps_beside_a_large_one_do_not_fill_the_memory():
    maps = {f"map {row}": np.zeros((1, 1), np.float32) for row in range(500)}
    with pytest.raises(InputError, match=r"501 heatmaps at the highest resolution .* take 2,004,000,000 bytes"):
        seewhy.from_maps(IMAGE, {**maps, "large": np.zeros((1000, 1000), np.float32)})


def test_names_are_one_for_each_map():
    with pytest.raises(InputError, match="1 names were given for 2 heatmaps"):
        seewhy.from_maps(IMAGE, np.zeros((2, 3, 3)), ["cat"])
    with pytest.raises(OptionError, match="Give the labels of explanations by name"):
        seewhy.view([seewhy.from_maps(IMAGE, np.ones((3, 3)))], ["cat"])
    with pytest.raises(OptionError, match="give the heatmaps: view"):
        seewhy.view(seewhy.from_maps(IMAGE, np.ones((3, 3))), names=["cat"])
