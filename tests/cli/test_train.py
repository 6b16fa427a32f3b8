"""`seewhy train` and `seewhy errors`, as a user meets them."""

import csv

import numpy as np
from PIL import Image


def test_digits_from_training_to_mistakes(run, examples, tmp_path):
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
    mistakes = round(200 * (1 - float(row["validation_accuracy"])))
    assert code == 0
    assert f"{mistakes} mistakes on 200 images" in shown
    with (out / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] in shown for row in rows] == [True, True]
    for row in rows:
        position = int(row["image"].removeprefix("x_test[").removesuffix("]"))
        assert row["class"] == str(few["y_test"][position]) != row["taken_for"]
    with Image.open(out / "errors.png") as image:
        assert image.size[1] > 700
    code, _, err = run("train", "digits", "--data", tmp_path / "few.npz", "--out", out)
    assert code == 2
    assert "already holds a run of 'digits'" in err


def test_images_that_are_skipped_are_counted_and_listed(run, tmp_path):
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
    assert "4 images to train on, 2 to validate on" in shown
    assert "1 skipped, as they cannot be read" in shown
    assert "dark/broken.png is not an image in a format" in shown
    assert "taken for light" in shown


def test_mistakes_of_the_caller(run, tmp_path):
    for arguments, said in [
        (("train", "digits", "--data", tmp_path / "none.npz", "--out", tmp_path / "run"), "Cannot read the digits"),
        (("train", "transfer", tmp_path, "--out", tmp_path / "run"), "holds no classes"),
        (("errors", tmp_path / "run"), "holds no run"),
    ]:
        code, _, err = run(*arguments)
        assert code == 2
        assert said in err


def test_ctrl_c_says_how_to_go_on_and_that_works(run, examples, tmp_path, monkeypatch):
    from seewhy.train import training_loop

    with np.load(examples / "data" / "digits_4000.npz") as file:
        np.savez(tmp_path / "few.npz", **{name: array[:200] for name, array in file.items()})
    one_epoch = training_loop._one_epoch

    def interrupted(model, learning_rate, epoch, *others):
        if epoch == 1:
            raise KeyboardInterrupt
        return one_epoch(model, learning_rate, epoch, *others)

    command = ["train", "digits", "--data", tmp_path / "few.npz", "--out", tmp_path / "run", "--epochs", 2]
    with monkeypatch.context() as patched:
        patched.setattr(training_loop, "_one_epoch", interrupted)
        code, _, err = run(*command)
    assert code == 130
    assert f"The epochs that were finished are kept in {tmp_path / 'run'}; the same command with --resume" in err
    code, shown, _ = run(*command, "--resume")
    assert code == 0
    assert "epoch 1/2" not in shown
    assert "epoch 2/2" in shown
