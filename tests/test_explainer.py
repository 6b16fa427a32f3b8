import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from seewhy import Classifier, Explainer, Preprocessing, methods
from seewhy.errors import (
    ImageError,
    ImageNotFoundError,
    InputError,
    MethodError,
    ModelError,
    OptionError,
    TargetError,
)
from seewhy.images.reading import read
from seewhy.targets import Counterfactual, Difference, Objective
from tests.sample_models import PAPER_GRADCAM, PAPER_HIRESCAM, PAPER_INPUT, PAPER_LOGITS


def test_the_paper_model_from_input_to_heatmap(paper_model):
    heatmaps = Explainer(paper_model, layer="conv").heatmaps(PAPER_INPUT, [0, 1])
    np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)
    np.testing.assert_allclose(heatmaps.scores, PAPER_LOGITS[None])
    np.testing.assert_array_equal(heatmaps.indices, [[0, 1]])
    np.testing.assert_array_equal(heatmaps.has_evidence, [[True, False]])
    np.testing.assert_allclose(heatmaps.outputs, paper_model(PAPER_INPUT).numpy(), rtol=1e-6)
    assert (heatmaps.layer, heatmaps.method, len(heatmaps)) == ("conv", "gradcam", 1)
    assert heatmaps.values.dtype == heatmaps.scores.dtype == np.float32
    hirescam = Explainer(paper_model, method="hirescam", layer="conv").heatmaps(PAPER_INPUT, [0, 1])
    np.testing.assert_allclose(hirescam.values, PAPER_HIRESCAM[None], atol=1e-6)


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_a_batch_is_each_alone(lite0, examples, method):
    """Four photos in one batch, each asked about classes of its own, then one by one."""
    photos = [examples / name for name in ("cat.png", "coffee.png", "rocket.jpg", "flower.jpg")]
    targets = [[282, 967], [967, 282], [657, 1], [985, 657]]
    explainer = Explainer(lite0, method=method)
    inputs = lite0.preprocess(photos)
    together = explainer.heatmaps(inputs, targets)
    for n, target in enumerate(targets):
        alone = explainer.heatmaps(np.asarray(inputs)[n : n + 1], target)
        np.testing.assert_allclose(together.values[n], alone.values[0], atol=1e-5 * alone.values.max())
        np.testing.assert_allclose(together.scores[n], alone.scores[0], rtol=1e-4)
    assert not np.allclose(together.values[0, 0], together.values[1, 1])  # one class, two photos: two heatmaps


def test_batches_of_any_size_and_targets_for_each_image(lite0, examples):
    photos = [examples / name for name in ("cat.png", "coffee.png", "rocket.jpg")]
    explainer, targets = Explainer(lite0), [["tiger cat"], ["espresso"], [1]]
    whole = explainer.explain(iter(photos), targets)
    parts = explainer.explain(photos, targets, batch_size=2)
    for one, other in zip(whole, parts, strict=True):
        assert [each.index for each in one.targets] == [each.index for each in other.targets]
        np.testing.assert_allclose(one.heatmaps, other.heatmaps, atol=1e-5 * one.heatmaps.max())
    with pytest.raises(TargetError, match="Targets were given for 2 images, but there are 3"):
        explainer.explain(photos, targets[:2], batch_size=1)


def test_every_explanation_of_a_batch_is_its_own_image_s(lite0_explainer, examples):
    """Images of different sizes and classes in one batch: placement, predictions and probabilities are each one's."""
    photos = [examples / "cat.png", examples / "coffee.png"]
    for together, photo in zip(lite0_explainer.explain(photos, ["espresso", "top-1"]), photos, strict=True):
        (alone,) = lite0_explainer.explain([photo], ["espresso", "top-1"])
        assert together.placement == alone.placement
        assert together.image.shape == alone.image.shape
        assert [each.index for each in together.predictions[:3]] == [each.index for each in alone.predictions[:3]]
        for one, other in zip(together.targets, alone.targets, strict=True):
            assert (one.index, one.name) == (other.index, other.name)
            assert one.probability == pytest.approx(other.probability, rel=1e-3)


def test_the_explanation_of_a_photo(lite0, examples):
    explanation = seewhy.explain(lite0, examples / "cat.png", targets="top-3")
    assert [each.index for each in explanation.targets] == [282, 285, 281]
    assert [each.name for each in explanation.targets] == ["tiger cat", "Egyptian cat", "tabby"]
    for target, probability in zip(explanation.targets, (0.385, 0.363, 0.167), strict=True):
        assert target.probability == pytest.approx(probability, abs=0.01)
        assert target.has_evidence
        assert target.score > 5  # a logit, not a probability
    assert [each.index for each in explanation.predictions[:3]] == [282, 285, 281]
    assert explanation.heatmaps.shape == (3, 7, 7)
    assert explanation.normalized_heatmaps.shape == (3, 300, 451)
    assert explanation.image.shape == (300, 451, 3)
    assert (explanation.layer, explanation.method) == ("top_relu6", "gradcam")
    assert explanation.source == str(examples / "cat.png")


def test_arrays_and_pil_images_are_images_too(lite0_explainer, examples):
    path = examples / "coffee.png"
    with Image.open(path) as image:
        from_path, from_pil, from_array = lite0_explainer.explain([path, image, np.asarray(image)], "espresso")
    np.testing.assert_allclose(from_path.heatmaps, from_pil.heatmaps, rtol=1e-5)
    np.testing.assert_allclose(from_path.heatmaps, from_array.heatmaps, rtol=1e-5)
    assert from_array.source is None


@pytest.mark.parametrize("image", ["black", "white", "one pixel", "very wide"])
def test_no_image_gives_nan(lite0_explainer, image):
    pixels = {
        "black": np.zeros((50, 60, 3), np.uint8),
        "white": np.full((50, 60, 3), 255, np.uint8),
        "one pixel": np.zeros((1, 1, 3), np.uint8),
        "very wide": np.random.default_rng(0).integers(0, 256, (2, 2000, 3), dtype=np.uint8),
    }[image]
    (explanation,) = lite0_explainer.explain([pixels], ["top-1", 0, 999])
    assert np.isfinite(explanation.heatmaps).all()
    assert explanation.normalized_heatmaps.shape == (3, *pixels.shape[:2])
    assert np.isfinite(explanation.normalized_heatmaps).all()
    assert explanation.overlay(2).shape == pixels.shape


def test_a_target_nothing_speaks_for_is_zeros_and_says_so(paper_model):
    (explanation,) = Explainer(Classifier(paper_model, preprocess=first_channel), layer="conv").explain(
        [np.full((2, 2, 3), 9, np.uint8)], [0, 1]
    )
    assert not explanation.targets[1].has_evidence
    np.testing.assert_array_equal(explanation.heatmaps[1], 0)
    np.testing.assert_array_equal(explanation.normalized_heatmaps[1], 0)


def test_every_image_s_targets_have_their_names_and_scores(paper_model):
    """By hand: of an image that is 9 everywhere A^1 is 9 and A^2 -6, of 2 everywhere 2 and 1."""
    classifier = Classifier(paper_model, preprocess=first_channel, class_names=["cat", "dog"])
    images = [np.full((2, 2, 3), value, np.uint8) for value in (9, 2)]
    selected = [[Difference("cat", "dog"), "dog"], ["top-1", Counterfactual("dog")]]
    for batch_size in (1, 2):
        explanations = Explainer(classifier, layer="conv").explain(images, selected, batch_size=batch_size)
        found = [[(each.index, each.name, each.score) for each in one.targets] for one in explanations]
        assert found == [
            [(-1, "cat rather than dog", 96), (1, "dog", -36)],
            [(0, "cat", 4), (-1, "against dog", 8)],
        ]
        assert explanations[0].targets[0].probability is None
    with pytest.raises(TargetError, match="Did you mean 'dog'"):
        Explainer(classifier).explain(images, Difference("cat", "dogg"))


def first_channel(pixels):
    return pixels[..., :1]


# Where a heatmap lies


def brightness_model(size):
    """A model that says how bright an image is; its heatmap is the image's own brightness, cell by cell."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.AveragePooling2D(2, name="cells"),
            keras.layers.Conv2D(1, 1, use_bias=False, name="brightness"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    model.set_weights([np.full((1, 1, 3, 1), 1 / 3, np.float32), np.ones((1, 1), np.float32)])
    return model


@functools.cache
def brightness_explainer(crop):
    """Return the explainer of that model for a crop; images of all sizes share what it compiles."""
    return Explainer(Classifier(brightness_model(64), preprocess=Preprocessing(size=(64, 64), crop=crop)))


def lit(height, width, row, column, side=24):
    """Return a black image with a white square, its centre at (row, column)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[row - side // 2 : row + side // 2, column - side // 2 : column + side // 2] = 255
    return image


@pytest.mark.parametrize("crop", [None, 1.0, 0.875])
@pytest.mark.parametrize(("height", "width"), [(160, 160), (160, 320), (320, 160), (161, 333)])
@pytest.mark.parametrize(("down", "right"), [(-40, -30), (30, 45), (0, 0)])
def test_a_heatmap_lies_where_the_light_is(crop, height, width, down, right):
    image = lit(height, width, height // 2 + down, width // 2 + right)
    (explanation,) = brightness_explainer(crop).explain([image], 0)
    (heatmap,) = explanation.normalized_heatmaps
    total = heatmap.sum()
    row = (heatmap.sum(axis=1) @ np.arange(height)) / total
    column = (heatmap.sum(axis=0) @ np.arange(width)) / total
    assert row == pytest.approx(height // 2 + down, abs=0.02 * height)
    assert column == pytest.approx(width // 2 + right, abs=0.02 * width)
    assert heatmap.max() == pytest.approx(1, abs=0.15)


def test_a_phone_photo_is_explained_upright(tmp_path):
    """The sensor's image lies on its side; light at the top left of the upright one is found there."""
    upright = lit(200, 100, 40, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "phone.jpg"
    Image.fromarray(np.rot90(upright, 1).copy()).save(path, exif=exif, quality=100)
    (explanation,) = Explainer(Classifier(brightness_model(64), preprocess=None)).explain([path], 0)
    (heatmap,) = explanation.normalized_heatmaps
    assert heatmap.shape == (200, 100)
    rows, columns = np.nonzero(heatmap > 0.5)
    assert rows.mean() == pytest.approx(40, abs=4)
    assert columns.mean() == pytest.approx(30, abs=4)


def test_outside_the_crop_nothing_is_claimed(lite0_explainer, examples):
    explanation = lite0_explainer.explain([examples / "cat.png"], "top-3")[0]
    top, left, bottom, right = (int(edge) for edge in explanation.placement.box)
    assert (top, left, bottom, right) == (19, 94, 281, 356)
    outside = np.ones((300, 451), bool)
    outside[top:bottom, left:right] = False
    assert (explanation.normalized_heatmaps[:, outside] == 0).all()
    np.testing.assert_array_equal(explanation.overlay(0, alpha=1)[outside], explanation.image[outside])
    assert (explanation.normalized_heatmaps[:, ~outside] > 0).mean() > 0.5


@pytest.mark.parametrize("method", ["gradcam", "xgradcam", "hirescam", "ablationcam", "guided_gradcam"])
def test_in_a_mosaic_each_class_is_found_in_its_own_quadrant(lite0, examples, method):
    """Chance would put a quarter of a map's energy into each quadrant; see examples/demo.py for the mosaic."""
    import runpy

    mosaic = np.asarray(runpy.run_path(str(examples / "demo.py"))["make_mosaic"]())
    explainer = seewhy.Explainer(lite0, method)
    (explanation,) = explainer.explain([mosaic], ["tiger cat", "espresso", "missile", "daisy"])
    middle = mosaic.shape[0] // 2
    energies = []
    for position, heatmap in enumerate(explanation.normalized_heatmaps):
        row, column = divmod(position, 2)
        quadrant = heatmap[row * middle : (row + 1) * middle, column * middle : (column + 1) * middle]
        energies.append(quadrant.sum() / heatmap.sum())
        top, left, bottom, right = explanation.boxes(0.5, target=position)[0]
        assert (top + bottom) // 2 // middle == row
        assert (left + right) // 2 // middle == column
    assert min(energies) > 0.6, energies


# What is refused


def test_what_an_explainer_refuses(paper_model, lite0_explainer):
    with pytest.raises(MethodError, match="Unknown method 'shapley'"):
        Explainer(paper_model, method="shapley")
    with pytest.raises(OptionError, match="Unknown score 'logits'; expected 'logit' or 'probability'"):
        Explainer(paper_model, score="logits")
    with pytest.raises(OptionError, match="Unknown precision 'float16'; expected 'float32' or 'bfloat16'"):
        Explainer(paper_model, precision="float16")
    with pytest.raises(OptionError, match=r"output is \[0\]; expected the position or the key of an output"):
        Explainer(paper_model, output=[0])
    with pytest.raises(MethodError, match=r"Give one name; seewhy\.compare takes several"):
        Explainer(paper_model, ["gradcam", "layercam"])
    with pytest.raises(OptionError, match="batch_size is -1; expected 1 or more"):
        lite0_explainer.explain([np.zeros((20, 30, 3), np.uint8)], batch_size=-1)
    with pytest.raises(TargetError, match="'tabby' was given by name, and the model's class names are not known"):
        Explainer(paper_model).heatmaps(PAPER_INPUT, "tabby")
    with pytest.raises(TargetError, match="There is no class 2: the model has classes 0 to 1"):
        Explainer(paper_model).heatmaps(PAPER_INPUT, 2)
    with pytest.raises(TargetError, match="'top-3' selects more than the model's 2 classes"):
        Explainer(paper_model).heatmaps(PAPER_INPUT, "top-3")


@pytest.mark.parametrize(("function", "shape"), [(lambda o: o[0], r"\(2, 1\)"), (lambda o: o[:2], r"\(2, 2\)")])
def test_a_target_function_that_loses_images(paper_model, function, shape):
    with pytest.raises(TargetError, match=f"gave scores of shape {shape} for 3 images"):
        Explainer(paper_model).heatmaps(PAPER_INPUT.repeat(3, axis=0), function)


def test_the_layers_of_ones_own_model(paper_model):
    calls = Explainer(paper_model).layers(PAPER_INPUT)
    assert [(call.path, call.shape, call.is_candidate) for call in calls] == [
        ("conv", (2, 2, 2), True),
        ("flatten", (8,), False),
        ("dense", (2,), False),
    ]


def test_the_layers_without_an_input(paper_model):
    assert Explainer(paper_model).layers() == Explainer(paper_model).layers(PAPER_INPUT)
    convolution = torch.nn.Conv2d(3, 2, 1)
    with pytest.raises(InputError, match=r"input size of the model 'Conv2d' is unknown .* Explainer.layers\(inputs\)"):
        Explainer(convolution).layers()
    (call,) = Explainer(Classifier(torch.nn.Sequential(convolution), input_size=(4, 6))).layers()
    assert call.shape == (4, 6, 2)


@pytest.mark.parametrize("call", [seewhy.explain, seewhy.compare])
def test_a_missing_photo_is_found_before_a_model_is_loaded(call, monkeypatch, tmp_path):
    monkeypatch.setattr("seewhy.explainer.load", lambda source: pytest.fail(f"{source} was loaded"))
    with pytest.raises(ImageNotFoundError, match=r"There is no image at .*nope\.png"):
        call("vgg16", tmp_path / "nope.png")


def test_an_unknown_input_size_is_asked_for():
    import keras

    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPool2D()])
    with pytest.raises(ModelError, match=r"input size of the model .* is unknown.*input_size=\(224, 224\)"):
        Explainer(model).explain([np.zeros((9, 9, 3), np.uint8)])
    classifier = Classifier(model, input_size=(12, 20))
    assert Explainer(classifier).explain([np.zeros((9, 9, 3), np.uint8)])[0].heatmaps.shape == (1, 10, 18)


def test_class_names_must_be_as_many_as_the_outputs(paper_model):
    classifier = Classifier(paper_model, preprocess=first_channel, class_names=["a", "b", "c"])
    with pytest.raises(ModelError, match="3 class names were given, and the model 'paper' has 2 classes"):
        Explainer(classifier).heatmaps(PAPER_INPUT)


def test_compiled_steps_of_one_time_functions_are_dropped(paper_model, monkeypatch):
    from seewhy.frameworks import compiled

    monkeypatch.setattr(compiled, "MAX_COMPILED", 4)
    explainer = Explainer(paper_model, layer="conv")
    for _ in range(7):
        explainer.heatmaps(PAPER_INPUT, lambda logits: logits[:, 0])
    assert len(explainer.framework._compiled) == 4


EXPLAINER_OPTIONS = {
    "fuse": {"fuse": "max"},
    "augmentation": {"augmentation": "flips"},
    "signed": {"signed": True},
}


@pytest.mark.parametrize("options", EXPLAINER_OPTIONS.values(), ids=EXPLAINER_OPTIONS)
def test_explain_and_compare_take_what_an_explainer_takes(paper_model, options):
    classifier = Classifier(paper_model, preprocess=lambda pixels: pixels[..., :1] / 255, input_size=(2, 2))
    image = np.random.default_rng(3).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    layer = ["conv", "conv"] if "fuse" in options else "conv"
    (expected,) = Explainer(classifier, "hirescam", layer, "probability", **options).explain([image], [0, 1])
    explanation = seewhy.explain(classifier, image, [0, 1], "hirescam", layer, "probability", **options)
    (compared,) = seewhy.compare(classifier, image, "hirescam", [0, 1], layer, "probability", **options).explanations
    np.testing.assert_array_equal(explanation.heatmaps, expected.heatmaps)
    np.testing.assert_array_equal(compared.heatmaps, expected.heatmaps)


def test_explain_and_compare_take_an_output_and_a_precision_too(paper_model):
    image = np.full((2, 2, 3), 128, np.uint8)
    classifier = Classifier(paper_model, preprocess=lambda pixels: pixels[..., :1] / 255, input_size=(2, 2))
    for options, message in [({"output": 1}, "model has one output"), ({"precision": "int4"}, "Unknown precision")]:
        with pytest.raises((ModelError, OptionError), match=message):
            seewhy.explain(classifier, image, 0, layer="conv", **options)
        with pytest.raises((ModelError, OptionError), match=message):
            seewhy.compare(classifier, image, targets=0, layer="conv", **options)


@pytest.mark.parametrize("layer", ["conv", "conv#1"])
def test_choices_are_fixed_also_to_one_call_of_a_layer(paper_model, layer):
    explainer = Explainer(paper_model)
    fixed = explainer.fix_choices(methods.get("hirescam"), layer)
    assert (tuple(map(str, fixed.layer_choices)), fixed.method.name) == ((layer,), "hirescam")
    assert [str(choice) for choice in explainer.layer_choices] == ["auto"]
    named = Explainer(paper_model, "gradcam", "conv").fix_choices(methods.get("hirescam"), layer)
    assert (tuple(map(str, named.layer_choices)), named.method.name) == (("conv",), "gradcam")


def test_an_explainer_cannot_be_changed(paper_model):
    explainer = Explainer(paper_model)
    with pytest.raises(AttributeError, match=r"cannot be changed: make another one with method='hirescam'"):
        explainer.method = "hirescam"
    with pytest.raises(AttributeError, match="score cannot be deleted"):
        del explainer.score
    assert (explainer.method.name, explainer.score) == ("auto", "logit")


def test_a_plan_is_made_once_for_a_kind_of_objective(paper_model):
    """Classes of equal number share a plan; another number of classes has its own."""
    explainer = Explainer(paper_model)
    explainer.heatmaps(PAPER_INPUT, [0, 1])
    (plan,) = explainer._pipeline.plans.values()
    explainer.heatmaps(PAPER_INPUT, [1, 0])
    explainer.heatmaps(np.concatenate([PAPER_INPUT, PAPER_INPUT]), [1, 0])
    assert list(explainer._pipeline.plans.values()) == [plan]
    assert (plan.strategy, plan.derivatives) == ("capture", "gradients")
    explainer.heatmaps(PAPER_INPUT, [0])
    assert len(explainer._pipeline.plans) == 2


class DroppedMeanwhile(dict):
    """Plans that another thread drops after each question whether one is there."""

    def __contains__(self, key):
        found = super().__contains__(key)
        self.clear()
        return found


def test_a_plan_that_another_thread_drops_is_still_used(paper_model):
    pipeline = replace(Explainer(paper_model, "gradcam")._pipeline, plans=DroppedMeanwhile())
    objective = Objective(pipeline.resolve([0], 1))
    first, second = (pipeline.plan(PAPER_INPUT, objective, 1) for _ in range(2))
    assert first.method.name == second.method.name == "gradcam"


def test_the_method_of_heatmaps_is_known_after_their_plan_was_dropped(paper_model):
    explainer = Explainer(paper_model)
    heatmaps = explainer.heatmaps(PAPER_INPUT)
    assert explainer.method_of(heatmaps) is not explainer.method
    explainer._pipeline.plans.clear()
    assert explainer.method_of(heatmaps).name == heatmaps.method == "gradcam"


def test_one_image_is_a_list_of_one(lite0_explainer, examples):
    path = examples / "cat.png"
    pixels = read(path)
    expected = lite0_explainer.explain([path], "tiger cat")[0].heatmaps
    for image in (path, str(path), pixels, Image.fromarray(pixels)):
        explanations = lite0_explainer.explain(image, "tiger cat")
        assert len(explanations) == 1
        np.testing.assert_array_equal(explanations[0].heatmaps, expected)
    with pytest.raises(ImageError, match=r"An array of shape \(30,\)"):
        lite0_explainer.explain(np.zeros((20, 30, 7), np.uint8)[0, :, 0])


def test_a_model_by_its_name_or_its_path(lite0, examples, tmp_path, monkeypatch):
    """The same explanation as of the loaded model, which is loaded once for each call."""
    path, loaded = tmp_path / "model.keras", []
    monkeypatch.setattr("seewhy.explainer.load", lambda source: loaded.append(source) or lite0)
    expected = seewhy.explain(lite0, examples / "cat.png", 281)
    for source in ("efficientnet-lite0", path):
        explanation = seewhy.explain(source, examples / "cat.png", 281)
        np.testing.assert_array_equal(explanation.heatmaps, expected.heatmaps)
    assert seewhy.Explainer("efficientnet-lite0").classifier is lite0
    compared = seewhy.compare(["efficientnet-lite0", path], examples / "cat.png", method=["gradcam", "layercam"])
    assert [each.method for each in compared.explanations] == ["gradcam", "layercam"] * 2
    assert loaded == ["efficientnet-lite0", path, "efficientnet-lite0", "efficientnet-lite0", path]


def test_a_model_by_a_name_that_is_unknown():
    with pytest.raises(ModelError, match=r"Unknown model 'efficientnet-lite'\. Did you mean 'efficientnet-lite0'"):
        seewhy.explain("efficientnet-lite", np.zeros((8, 8, 3), np.uint8))


def test_a_class_by_the_list_of_its_names(lite0, examples):
    explanation = seewhy.explain(lite0, examples / "cat.png", ["tabby, tabby cat", "n02127052"])
    assert [target.index for target in explanation.targets] == [281, 287]
    for name in ("tabby", "tabby cat", "n02123045", "tabby_cat"):
        np.testing.assert_array_equal(explanation.overlay(name), explanation.overlay(0))
    np.testing.assert_array_equal(explanation.overlay("catamount"), explanation.overlay(1))


def test_an_explainer_shows_what_explains():
    """Its settings are those of its pipeline, also in copies with others."""
    explainer = seewhy.Explainer(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)), "layercam", "0", signed=True)
    assert (explainer.method.name, explainer.signed, explainer.score) == ("layercam", True, "logit")
    other = explainer.with_framework("another framework")
    assert (other.framework, other._pipeline.framework) == ("another framework", "another framework")
    assert explainer.framework is explainer._pipeline.framework
    assert {"method", "signed", "explain"} <= set(dir(explainer))
    with pytest.raises(AttributeError, match=r"An Explainer has no attribute 'layerchoices'\."):
        explainer.layerchoices  # noqa: B018
