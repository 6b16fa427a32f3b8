"""`seewhy train` and `seewhy errors`."""

import csv

import keras
import numpy as np
from PIL import Image

from seewhy.train import transfer
from seewhy.train.base_models import BaseModel


def test_digits_from_training_to_misclassified_images(run, examples, tmp_path):
    with np.load(examples / "data" / "digits_4000.npz") as file:
        few = {name: array[:200] for name, array in file.items()}
    np.savez(tmp_path / "few.npz", **few)
    out = tmp_path / "runs" / "digits"
    code, shown, _ = run("train", "digits", "--data", tmp_path / "few.npz", "--out", out, "--epochs", 1)
    assert code == 0
    assert "epoch 1/1: loss " in shown
    with (out / "history.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert f"test accuracy {float(row['validation_accuracy']):.4f} after epoch 1" in shown
    Image.fromarray(few["x_test"][0]).save(tmp_path / "digit.png")
    code, shown, _ = run("explain", tmp_path / "digit.png", "--model", out, "--out", tmp_path / "explained")
    assert code == 0
    assert "layer conv2d_1, method gradcam" in shown
    code, shown, _ = run("errors", out, "--limit", 2)
    misclassified = round(200 * (1 - float(row["validation_accuracy"])))
    assert code == 0
    assert f"{misclassified} of 200 images are misclassified" in shown
    with (out / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] in shown for row in rows] == [True, True]
    for row in rows:
        position = int(row["image"].removeprefix("x_test[").removesuffix("]"))
        assert row["true_class"] == str(few["y_test"][position]) != row["predicted_class"]
        assert float(row["predicted_probability"]) > float(row["true_probability"])
    with Image.open(out / "errors.png") as image:
        assert image.size[1] > 700
    code, _, err = run("train", "digits", "--data", tmp_path / "few.npz", "--out", out)
    assert code == 2
    assert "already contains a run of 'digits'" in err


def small_base(name, *, pretrained, size):
    """Build a base of one layer instead of MobileNet, which tests/train trains."""
    assert (name, pretrained, size) == ("mobilenet", False, 32)
    layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, activation="relu")]
    return BaseModel(keras.Sequential(layers, name="small"), keras.applications.mobilenet.preprocess_input)


def test_skipped_images_are_counted_and_listed(run, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "build_base", small_base)
    for name, color in (("dark", 0), ("light", 255)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (40, 30), (color, 10 * number, color)).save(tmp_path / "data" / name / f"{number}.png")
    (tmp_path / "data" / "dark" / "broken.png").write_text("no image")
    code, shown, _ = run(
        "train", "transfer", tmp_path / "data", "--out", tmp_path / "run", "--base", "mobilenet",
        "--weights", "none", "--size", 32, "--epochs", 1,
    )  # fmt: skip
    assert code == 0
    assert "4 training images, 2 validation images" in shown
    assert "skipped 1 that cannot be read (see images.csv)" in shown
    assert "dark/broken.png is not an image in a format" in shown
    assert "predicted light" in shown


def test_usage_errors(run, tmp_path):
    for arguments, message in [
        (("train", "digits", "--data", tmp_path / "none.npz", "--out", tmp_path / "run"), "Cannot read the digits"),
        (("train", "transfer", tmp_path, "--out", tmp_path / "run"), "contains no classes"),
        (("errors", tmp_path / "run"), "does not contain a run"),
    ]:
        code, _, err = run(*arguments)
        assert code == 2
        assert message in err


def test_after_ctrl_c_the_run_can_be_resumed(run, examples, tmp_path, monkeypatch):
    from seewhy.train import training_loop

    with np.load(examples / "data" / "digits_4000.npz") as file:
        np.savez(tmp_path / "few.npz", **{name: array[:200] for name, array in file.items()})
    train_epoch = training_loop._train_epoch

    def interrupted(model, learning_rate, epoch, *others):
        if epoch == 1:
            raise KeyboardInterrupt
        return train_epoch(model, learning_rate, epoch, *others)

    command = ["train", "digits", "--data", tmp_path / "few.npz", "--out", tmp_path / "run", "--epochs", 2]
    with monkeypatch.context() as patched:
        patched.setattr(training_loop, "_train_epoch", interrupted)
        code, _, err = run(*command)
    assert code == 130
    assert f"The finished epochs are saved in {tmp_path / 'run'}. To resume the run, add --resume" in err
    code, shown, _ = run(*command, "--resume")
    assert code == 0
    assert "epoch 1/2" not in shown
    assert "epoch 2/2" in shown
