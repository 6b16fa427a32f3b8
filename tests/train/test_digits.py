import csv
import math
import resource

import keras
import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import InputError, ModelRunError, OptionError, OutputError, WeightsError
from seewhy.train import digits as recipe_digits
from seewhy.train import training_loop
from seewhy.train.digits import DigitsRecipe, build_model, train_digits
from seewhy.train.run_folder import Run


@pytest.fixture(scope="module")
def trained(few_digits, tmp_path_factory):
    """A finished run of two epochs, and its history."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    return out, train_digits(few_digits, out, DigitsRecipe(epochs=2))


def weights(folder):
    return seewhy.load(folder).model.get_weights()


def test_the_model_of_the_tutorial():
    model = build_model(0)
    assert model.count_params() == 119_530
    assert [layer.count_params() for layer in model.layers] == [0, 320, 0, 18_496, 0, 0, 100_384, 330]
    assert [layer.name for layer in model.layers if "conv" in layer.name] == ["conv2d", "conv2d_1"]
    assert model.get_layer("conv2d_1").output.shape == (None, 14, 14, 64)


def test_the_weights_depend_on_the_seed_and_differ_between_layers():
    first, again, other = (build_model(seed).get_weights() for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.allclose(first[4][:32, :10].std(), first[6].std())


def test_the_files_of_a_run_match_its_history(trained, few_digits):
    out, rows = trained
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "history.csv", "history.png", "model.json", "model.keras",
    ]  # fmt: skip
    with (out / "history.csv").open() as file:
        written = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert written == rows
    assert [row["learning_rate"] for row in rows] == [1e-3, 1e-3]
    with np.load(few_digits) as file:
        x, y = file["x_test"], file["y_test"]
    predicted = np.argmax(seewhy.load(out).model.predict(x[..., None] / 255, verbose=0), axis=1)
    assert rows[-1]["validation_accuracy"] == pytest.approx(np.mean(predicted == y), abs=1e-6)
    assert rows[1]["loss"] < rows[0]["loss"]


def test_an_image_of_a_digit_is_explained(trained, digits, tmp_path):
    out, _ = trained
    Image.fromarray(digits["x_test"][0]).save(tmp_path / "digit.png")
    classifier = seewhy.load(out)
    explanation = seewhy.explain(classifier, tmp_path / "digit.png", targets=["7", "1"])
    probabilities = classifier.model.predict(digits["x_test"][:1, ..., None] / 255, verbose=0)[0]
    assert explanation.layer == "conv2d_1"
    assert explanation.heatmaps.shape == (2, 14, 14)
    assert explanation.targets[0].probability == pytest.approx(probabilities[7], abs=1e-6)
    assert explanation.targets[1].name == "1"


@pytest.mark.parametrize(
    "augment",
    [
        pytest.param(False, marks=pytest.mark.slow(reason="trains three times; test_backends.py does so in its stead")),
        True,
    ],
)
def test_a_resumed_run_ends_like_an_uninterrupted_one(few_digits, tmp_path, monkeypatch, augment):
    recipe = DigitsRecipe(epochs=3, augment=augment, seed=5)
    whole = train_digits(few_digits, tmp_path / "whole", recipe)
    train_epoch = training_loop._train_epoch

    def stop_in_the_second(model, learning_rate, epoch, *others):
        if epoch == 1:
            train_epoch(model, learning_rate, epoch, *others)
            raise KeyboardInterrupt
        return train_epoch(model, learning_rate, epoch, *others)

    with monkeypatch.context() as patched:
        patched.setattr(training_loop, "_train_epoch", stop_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            train_digits(few_digits, tmp_path / "parts", recipe)
    assert len(Run(tmp_path / "parts").load_checkpoint().history) == 1
    keras.utils.set_random_seed(99)
    parts = train_digits(few_digits, tmp_path / "parts", recipe, resume=True)
    assert parts == whole
    for name in ("history.csv", "history.png"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert all(
        np.array_equal(a, b) for a, b in zip(weights(tmp_path / "parts"), weights(tmp_path / "whole"), strict=True)
    )


def test_the_cosine_decay_of_the_learning_rate():
    recipe = DigitsRecipe(epochs=4, augment=True)
    expected = [2e-3 * share for share in (1, 0.5 + math.sqrt(0.5) / 2, 0.5, 0.5 - math.sqrt(0.5) / 2)]
    assert [recipe.learning_rate(epoch) for epoch in range(4)] == pytest.approx(expected)
    assert (DigitsRecipe().total_epochs, DigitsRecipe(augment=True).total_epochs) == (10, 30)


def test_resuming_a_finished_run_only_reads_it(trained, few_digits):
    out, rows = trained
    before = (out / "model.keras").stat().st_mtime_ns
    assert train_digits(few_digits, out, DigitsRecipe(epochs=2), resume=True) == rows
    assert (out / "model.keras").stat().st_mtime_ns == before


def test_a_run_never_overwrites_a_folder(trained, few_digits, tmp_path):
    out, _ = trained
    with pytest.raises(OptionError, match=r"already contains a run of 'digits'. Resume it with --resume"):
        train_digits(few_digits, out, DigitsRecipe(epochs=2))
    with pytest.raises(OptionError, match=r"other settings or other data \(epochs: 2, now 3; seed: 0, now 1\)"):
        train_digits(few_digits, out, DigitsRecipe(epochs=3, seed=1), resume=True)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OptionError, match="is not an empty folder"):
        train_digits(few_digits, tmp_path, DigitsRecipe())
    with pytest.raises(OptionError, match=r"There is no run in .*new to resume. Leave out --resume"):
        train_digits(few_digits, tmp_path / "new", DigitsRecipe(), resume=True)
    assert not (tmp_path / "new").exists()


def test_a_damaged_checkpoint_is_an_error(few_digits, tmp_path):
    run = Run(tmp_path / "run")
    recipe = DigitsRecipe(epochs=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recipe_digits, "write_figure", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_digits(few_digits, run.folder, recipe)
    assert not run.is_finished
    checkpoint = run.folder / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"checkpoint.npz is damaged"):
        train_digits(few_digits, run.folder, recipe, resume=True)


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_full_disk(few_digits, tmp_path):
    """With a limit of 100 kB per file, the first checkpoint cannot be written, and no part of it is left."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"Cannot write .*checkpoint.npz: File too large"):
            train_digits(few_digits, tmp_path / "run", DigitsRecipe(epochs=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.json", "history.csv"]
    train_digits(few_digits, tmp_path / "run", DigitsRecipe(epochs=1), resume=True)
    assert Run(tmp_path / "run").is_finished


def test_a_loss_that_is_not_finite_is_an_error(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe_digits, "PLAIN_RATE", math.inf)
    with pytest.raises(ModelRunError, match=r"after epoch 1 the loss is nan"):
        train_digits(few_digits, tmp_path / "run", DigitsRecipe(epochs=1))


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("batch_size", 0), ("seed", -1)])
def test_numbers_out_of_range(name, value):
    with pytest.raises(OptionError, match=f"{name} is {value}; expected"):
        DigitsRecipe(**{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None, "x_train": None}, "lacks x_train, y_test; expected the arrays x_train, y_train"),
        (
            {"x_train": np.zeros((5, 32, 32), np.uint8)},
            r"x_train has shape \(5, 32, 32\) and type uint8; expected uint8",
        ),
        ({"x_train": np.zeros((200, 28, 28))}, r"x_train has shape .* and type float64; expected uint8"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, r"x_test has shape \(0, 28, 28\)"),
        ({"y_train": np.zeros(199, np.uint8)}, r"y_train has shape \(199,\) .* expected \(200,\) integers"),
        ({"y_train": np.zeros((200, 10), np.uint8)}, r"y_train has shape \(200, 10\)"),
        ({"y_test": np.full(60, 10)}, "y_test has values from 10 to 10; expected digits, 0 to 9"),
        ({"y_test": np.full(60, -1)}, "y_test has values from -1 to -1; expected digits, 0 to 9"),
        ({"y_test": np.array([object()] * 60)}, r"is not an .npz file of arrays: it holds objects of Python"),
    ],
)
def test_invalid_arrays(few_digits, tmp_path, change, message):
    with np.load(few_digits) as file:
        arrays = {name: array for name, array in {**file, **change}.items() if array is not None}
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(InputError, match=rf"wrong.npz.*{message}"):
        train_digits(tmp_path / "wrong.npz", tmp_path / "run", DigitsRecipe())
    assert not (tmp_path / "run").exists()


def test_files_that_are_not_npz(tmp_path):
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("digits")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    for name, message in [
        ("missing.npz", "Cannot read the digits .*: No such file"),
        (".", "Cannot read the digits .*: Is a directory"),
        ("single.npy", "is not an .npz file of arrays: it holds a single array"),
        ("text.npz", "is not an .npz file of arrays"),
        ("cut.npz", "is not an .npz file of arrays"),
    ]:
        with pytest.raises(InputError, match=message):
            train_digits(tmp_path / name, tmp_path / "run", DigitsRecipe())
