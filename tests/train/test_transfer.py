import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import InputError, ModelError, OptionError
from seewhy.train import training_loop, transfer
from seewhy.train.base_models import build_base
from seewhy.train.misclassified import explain_misclassified
from seewhy.train.run_folder import Run
from seewhy.train.transfer import TransferRecipe, train_transfer

RECIPE = TransferRecipe(
    base="mobilenet", size=64, pretrained=False, epochs=1, fine_tune=2, batch_size=8, validation=0.25
)  # EfficientNet-Lite0 with its real weights is trained in test_backends.py


def build_wide_awake(name, **options):
    """Build a base model whose random weights let signals through: Keras's own fade within MobileNet."""
    base, random = build_base(name, **options), np.random.default_rng(0)
    for weight in base.model.weights:
        if weight.path.endswith("kernel"):
            inputs = np.prod(weight.shape[:2] if "_dw_" in weight.path else weight.shape[:3])
            weight.assign(random.normal(0, np.sqrt(2 / inputs), weight.shape))
    return base


@pytest.fixture(scope="module", autouse=True)
def _wide_awake():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transfer, "build_base", build_wide_awake)
        yield


@pytest.fixture(scope="module")
def bars(bars_with_a_broken_one):
    return bars_with_a_broken_one


def base_of(model):
    return next(layer for layer in model.layers if layer.name == "mobilenet_1.00_64")


@pytest.fixture(scope="module")
def trained(bars, tmp_path_factory):
    """A run of one epoch and two of fine-tuning, on a base with random weights; and the base's weights per epoch."""
    out, bases, train_epoch = tmp_path_factory.mktemp("runs") / "bars", [], training_loop._train_epoch

    def keep_base(model, *others):
        row = train_epoch(model, *others)
        bases.append({weight.path: np.asarray(weight) for weight in base_of(model).weights})
        return row

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training_loop, "_train_epoch", keep_base)
        return out, train_transfer(bars, out, RECIPE), bases


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_saved_model_explains_an_image_at_a_layer_in_the_base(trained, bars):
    out, _, _ = trained
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "confusion.csv", "confusion.png", "history.csv", "history.png", "images.csv", "model.json",
        "model.keras",
    ]  # fmt: skip
    classifier = seewhy.load(out)
    assert list(classifier.class_names) == ["lying", "standing"]
    assert json.loads((out / "model.json").read_text())["preprocessing"] == "mobilenet"
    explanation = seewhy.explain(classifier, bars / "lying" / "00.png", targets=["lying", "standing"])
    base = base_of(classifier.model)
    assert explanation.layer == "mobilenet_1.00_64/conv_pw_13_relu"
    assert explanation.heatmaps.shape == (2, 2, 2)
    inputs = np.asarray(classifier.preprocess([bars / "lying" / "00.png"]))
    outputs = classifier.model(inputs, training=False)  # without training=False, Keras augments
    assert explanation.targets[1].probability == pytest.approx(float(outputs[0, 1]), abs=1e-5)
    # The tutorial's formula, computed on the two halves: head weights w, pooled mean over the map.
    maps = np.asarray(base(inputs, training=False))[0]
    w = np.asarray(classifier.model.get_layer("classes").kernel)[:, 0] / (maps.shape[0] * maps.shape[1])
    np.testing.assert_allclose(explanation.heatmaps[0], np.maximum(maps @ w, 0), atol=1e-6)


def test_images_csv_lists_every_image_with_its_split(trained):
    out, result, _ = trained
    rows = table(out / "images.csv")
    assert [row["split"] for row in rows].count("train") == 18
    assert [row["split"] for row in rows].count("validation") == 6
    (skipped,) = [row for row in rows if row["split"] == "skipped"]
    assert (skipped["path"], skipped["class"]) == ("lying/broken.png", "lying")
    assert "is not an image in a format" in skipped["reason"]
    assert [image.path.as_posix() for image in result.images.split("skipped")] == ["lying/broken.png"]


def test_the_best_epoch_is_saved_with_its_confusion_matrix(trained):
    out, result, _ = trained
    assert result.best["validation_accuracy"] == max(row["validation_accuracy"] for row in result.history)
    assert [row["learning_rate"] for row in result.history] == [4e-3, 1e-5, 1e-5]
    expected, classifier = np.zeros((2, 2), dtype=int), seewhy.load(out)
    for path, label in zip(result.images.paths("validation"), result.images.labels("validation"), strict=True):
        expected[label, classifier.predict([path])[0][0].index] += 1
    np.testing.assert_array_equal(result.confusion_matrix, expected)
    assert np.trace(expected) / 6 == pytest.approx(result.best["validation_accuracy"], abs=1e-6)
    assert [[int(row["lying"]), int(row["standing"])] for row in table(out / "confusion.csv")] == expected.tolist()


def test_the_base_is_frozen_until_fine_tuning_and_its_normalisation_always(trained):
    base = transfer.build_base("mobilenet", pretrained=False, size=64).model
    fresh = {weight.path: np.asarray(weight) for weight in base.weights}
    _, _, (first, second, third) = trained
    assert {name for name in fresh if not np.array_equal(first[name], fresh[name])} == set()
    changed = {name for name in fresh if not np.array_equal(third[name], fresh[name])}
    assert changed == {name for name in fresh if name.endswith("kernel")}
    assert any(not np.array_equal(third[name], second[name]) for name in fresh)


def test_among_equal_accuracies_the_lower_loss_is_best():
    rows = [
        {"validation_accuracy": accuracy, "validation_loss": loss}
        for accuracy, loss in [(0.5, 0.1), (0.9, 0.4), (0.9, 0.3), (0.9, 0.3)]
    ]
    assert max(rows, key=transfer._validation_rank) is rows[2]


@pytest.mark.slow(reason="compiles MobileNet for training twice more; test_digits.py interrupts a smaller model")
def test_a_resumed_run_ends_like_an_uninterrupted_one(trained, bars, tmp_path, monkeypatch):
    """In the middle of the second phase, whose optimizer is not the first's; with augmentation and dropout."""
    whole, result, _ = trained
    train_epoch, stops = training_loop._train_epoch, [2]

    def interrupted(model, learning_rate, epoch, *others):
        if stops and epoch == stops[0]:
            stops.pop(0)
            raise KeyboardInterrupt
        return train_epoch(model, learning_rate, epoch, *others)

    monkeypatch.setattr(training_loop, "_train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_transfer(bars, tmp_path / "parts", RECIPE)
    parts = train_transfer(bars, tmp_path / "parts", RECIPE, resume=True)
    assert stops == []
    assert parts.history == result.history
    found, expected = (seewhy.load(folder).model.get_weights() for folder in (tmp_path / "parts", whole))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_run_is_not_resumed_with_other_images(trained, bars, tmp_path):
    out, _, _ = trained
    shutil.copytree(bars, tmp_path / "bars")
    Image.new("RGB", (40, 40)).save(tmp_path / "bars" / "lying" / "new.png")
    with pytest.raises(OptionError, match=r"with other settings or other data \(data_sha256"):
        train_transfer(tmp_path / "bars", out, RECIPE, resume=True)


@pytest.mark.slow(reason="compiles a heatmap of MobileNet; test_train.py explains those of a smaller model")
def test_misclassified_validation_images_are_explained(trained, bars, tmp_path):
    out, result, _ = trained
    wrong = result.confusion_matrix.sum() - np.trace(result.confusion_matrix)
    misclassified = explain_misclassified(Run(out), limit=2)
    assert (misclassified.count, misclassified.evaluated) == (wrong, 6)
    assert wrong > 0
    assert len(misclassified.explained) == min(2, wrong)
    probabilities = [image.prediction.predicted_probability for image in misclassified.explained]
    assert probabilities == sorted(probabilities, reverse=True)
    classifier = seewhy.load(out)
    validation = {image.path.as_posix() for image in result.images.split("validation")}
    for image in misclassified.explained:
        true_target, predicted_target = image.explanation.targets
        assert image.name in validation
        assert image.name.startswith(true_target.name)
        assert predicted_target.name == classifier.predict([bars / image.name])[0][0].name != true_target.name
        assert predicted_target.probability >= true_target.probability
    figure = misclassified.figure()
    assert len(figure.axes) == 3 * len(misclassified.explained)
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert [title.split(":")[0] for title in titles[1:]] == ["True class", "Predicted"]
    with pytest.raises(InputError, match=r"There is no folder .*elsewhere with the images of .* with --data"):
        explain_misclassified(Run(out), limit=2, data=tmp_path / "elsewhere")
    shutil.copytree(bars, tmp_path / "moved")
    assert explain_misclassified(Run(out), limit=1, data=tmp_path / "moved").count == wrong


def test_unknown_and_unsupported_base_models():
    with pytest.raises(ModelError, match=r"Unknown base model 'resnet5'. Did you mean .*resnet50"):
        build_base("resnet5", pretrained=False)
    with pytest.raises(OptionError, match="efficientnet-lite0 takes images of 224 x 224; --size 64 was given"):
        build_base("efficientnet-lite0", pretrained=False, size=64)
    with pytest.raises(OptionError, match="xception cannot be built for images of 16 x 16"):
        build_base("xception", pretrained=False, size=16)


def test_the_base_of_efficientnet_lite0_returns_its_feature_maps(keras_lite0):
    base = build_base("efficientnet-lite0", pretrained=True)
    assert base.model.output_shape == (None, 7, 7, 1280)
    assert base.preprocess.crop == 0.875
    assert base.model.count_params() == 4_652_008 + 42_016 - 1_281_000
    image = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    pooled = np.asarray(base.model(image)).mean(axis=(1, 2))
    kernel, bias = keras_lite0.model.get_layer("predictions").get_weights()
    exponentials = np.exp(pooled @ kernel + bias)
    np.testing.assert_allclose(np.asarray(keras_lite0.model(image)), exponentials / exponentials.sum(), atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("fine_tune", -1), ("batch_size", 0), ("size", 0)])
def test_numbers_out_of_range(name, value):
    with pytest.raises(OptionError, match=f"{name} is {value}; expected"):
        TransferRecipe(**{name: value})


def test_a_base_that_cannot_be_loaded_leaves_no_run_behind(bars, tmp_path):
    for wrong in ({"base": "resnet51"}, {"base": "efficientnet-lite0"}):
        with pytest.raises((ModelError, OptionError), match=r"resnet51|takes images of 224 x 224"):
            train_transfer(bars, tmp_path / "run", dataclasses.replace(RECIPE, **wrong))
        assert not (tmp_path / "run").exists()
