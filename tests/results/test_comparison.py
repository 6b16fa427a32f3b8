import keras
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


def test_it_is_written_as_a_image_and_as_nothing_else(compared, tmp_path):
    with Image.open(compared.save(tmp_path / "both.png")) as image:
        assert image.width > 600
    assert compared.save(tmp_path / "both.svg").read_text("utf-8").count("<image") == 4
    with pytest.raises(
        OptionError, match=r"Cannot save a comparison as '\.npz'; expected \.png, \.jpg, \.jpeg, \.svg, \.pdf\."
    ):
        compared.save(tmp_path / "both.npz")


def test_a_list_that_is_empty(lite0, examples):
    with pytest.raises(MethodError, match=r"compare was given no methods: \[\]"):
        seewhy.compare(lite0, examples / "cat.png", [])
    with pytest.raises(OptionError, match="compare was given no images"):
        seewhy.compare(lite0, [])


def small(name):
    keras.utils.set_random_seed(len(name))
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    return seewhy.Classifier(
        model, preprocess=lambda pixels: pixels / 255, class_names=["cat", "dog", "owl"], name=name
    )


def test_models_and_images_side_by_side(examples):
    models = [small("one"), small("other")]
    images = [examples / "cat.png", examples / "coffee.png"]
    compared = seewhy.compare(models, images, targets=["owl"])
    assert compared.labels == ("cat.png, one", "cat.png, other", "coffee.png, one", "coffee.png, other")
    titles = [axes.get_title() for axes in compared.figure().axes]
    assert titles[1].startswith("cat.png, other: 2, owl")
    alone = seewhy.explain(models[1], images[1], ["owl"])
    np.testing.assert_array_equal(compared.explanations[3].heatmaps, alone.heatmaps)
    assert seewhy.compare(models[0], images, targets=["owl"]).labels == ("cat.png", "coffee.png")
    assert seewhy.compare(models, images[0], targets=["owl"]).labels == ("one", "other")


def test_arrays_are_images_too():
    black, white = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)
    for images in ([black, white], np.stack([black, white])):
        compared = seewhy.compare(small("one"), images, targets=[0])
        assert [each.image[0, 0, 0] for each in compared.explanations] == [0, 255]
        assert compared.labels == ("", "")  # nothing has a name that tells one from the other
        assert compared.figure().axes[0].get_title().startswith("0, cat")


@pytest.mark.parametrize("given", [(), (1, 2)])
def test_what_is_no_comparison(given):
    with pytest.raises(OptionError, match=r"A comparison is of one or more explanations; given \("):
        seewhy.Comparison(given)


def test_what_is_compared_has_as_many_targets(lite0, examples):
    one, two = (seewhy.explain(lite0, examples / "cat.png", targets) for targets in ([281], [281, 282]))
    with pytest.raises(OptionError, match=r"have as many targets each; given \[1, 2\]"):
        seewhy.Comparison((one, two))


def test_methods_by_the_name_of_explain_s_argument(compared, lite0, examples):
    other = seewhy.compare(lite0, examples / "cat.png", method=["gradcam", "hirescam"], targets=[281, 285])
    for one, each in zip(compared.explanations, other.explanations, strict=True):
        assert one.method == each.method
        np.testing.assert_array_equal(one.heatmaps, each.heatmaps)
    assert seewhy.compare(lite0, examples / "cat.png", method="hirescam").explanations[0].method == "hirescam"
    with pytest.raises(MethodError, match="given methods and method, which are the same argument"):
        seewhy.compare(lite0, examples / "cat.png", "gradcam", method="hirescam")
