"""What SeeWhy logs: what was chosen, and why."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.batches import batches, explain_each
from seewhy.errors import ModelRunError

BACKEND = keras.backend.backend()

ROOMS = {
    *("attribution", "batches", "datasets", "evaluate", "exporter", "frameworks", "integrations", "models", "pipeline")
}


def messages(caplog, room, level=logging.INFO):
    return [
        record.getMessage() for record in caplog.records if (record.name, record.levelno) == (f"seewhy.{room}", level)
    ]


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG, "seewhy")
    return caplog


def small_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="features"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def test_nothing_is_written_until_a_program_asks_for_it(tmp_path):
    code = "import seewhy; seewhy.load('efficientnet-lite0', weights=None); import logging; print(logging.lastResort)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr == ""
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("seewhy").handlers)


def test_the_method_and_the_layer_of_auto_and_why(logged):
    explainer = seewhy.Explainer(small_model())
    inputs = np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
    explainer.heatmaps(inputs, targets=[0])
    assert messages(logged, "pipeline") == ["method=auto takes gradcam: no attention maps"]
    (layer,) = messages(logged, "attribution")
    assert layer.startswith("layer=auto takes features: 100 of 100 positions reach the score")
    (plan,) = messages(logged, "pipeline", logging.DEBUG)
    assert "1 targets: gradcam at auto" in plan
    assert plan.endswith("up to 16 perturbations at once")


def test_a_target_whose_number_is_not_known(logged):
    explainer = seewhy.Explainer(small_model())
    inputs = np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
    explainer.heatmaps(inputs, targets=lambda outputs: outputs[:, :2])
    (plan,) = messages(logged, "pipeline", logging.DEBUG)
    assert " and some targets: gradcam" in plan


def test_what_is_known_is_not_logged_again(logged):
    explainer = seewhy.Explainer(small_model())
    inputs = np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
    explainer.heatmaps(inputs, targets=[0])
    logged.clear()
    explainer.heatmaps(inputs, targets=[1])
    assert logged.records == []


def test_candidates_that_auto_tries(logged):
    inputs = keras.Input((12, 12, 3))
    first = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="first")(inputs)
    second = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="second")(first)
    skipped = keras.layers.GlobalAveragePooling2D()(first) * 20
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(second) + skipped)
    explainer = seewhy.Explainer(keras.Model(inputs, outputs))
    explainer.heatmaps(np.random.default_rng(0).random((2, 12, 12, 3), np.float32), targets=[0])
    (chosen,) = messages(logged, "attribution")
    assert re.match(r"layer=auto takes first, after [1-9] candidates were tried: 144 of 144 positions reach", chosen)
    tried = messages(logged, "attribution", logging.DEBUG)
    assert any(message.startswith("candidate first: ") for message in tried)


def test_a_default_layer(logged):
    seewhy.Explainer(seewhy.Classifier(small_model(), layer="features", name="small"))
    assert messages(logged, "attribution") == ["layer=auto stands for features, the default layer of small"]


def test_what_was_loaded(logged):
    seewhy.load("efficientnet-lite0", weights=None, device="cpu")
    assert messages(logged, "models") == [
        "efficientnet-lite0 is built for onnx, the first that is installed of onnx, keras and torch",
        "loaded efficientnet-lite0: framework onnx, backend none, device cpu",
    ]


def test_a_cached_file(logged, monkeypatch, tmp_path):
    from seewhy.models.application_sizes import ApplicationSize, SizeCache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = SizeCache()
    cache.write({"vgg16": ApplicationSize((224, 224), 138)})
    assert messages(logged, "models") == [f"cached the sizes of 1 models in {cache.path}"]


def test_images_that_influence_each_other(logged):
    class Mixing(keras.layers.Layer):
        def call(self, inputs):
            return inputs - keras.ops.mean(inputs, axis=0, keepdims=True)

    inputs = keras.Input((12, 12, 3))
    features = Mixing()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features)))
    with pytest.warns(seewhy.errors.SeewhyWarning, match="influence each other"):
        seewhy.Explainer(model, layer=model.layers[1].name).heatmaps(
            np.random.default_rng(0).random((3, 12, 12, 3), np.float32), targets=[0]
        )
    assert "the 3 images of a batch influence each other, and run one at a time" in messages(logged, "attribution")


def test_batches_that_become_smaller(logged, monkeypatch):
    monkeypatch.setattr("seewhy.batches.MAX_BATCH_BYTES", 25)
    assert [len(batch) for batch in batches(range(7), 4, lambda _: 10)] == [3, 3, 1]
    assert messages(logged, "batches") == ["3 images run at once, not 4: their pixels fill the memory"] * 2

    def fails_for_several(images):
        if len(images) > 1:
            raise ModelRunError("too many")
        return images

    logged.clear()
    assert explain_each([1, 2], fails_for_several) == [1, 2]
    assert messages(logged, "batches") == ["a batch of 2 images failed, and each is explained alone: too many"]


def test_an_exported_model(logged):
    import torch

    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )
    explainer = seewhy.Explainer(seewhy.Classifier(module, input_size=(8, 8)), "gradcam", backend="onnx")
    explainer.heatmaps(np.zeros((1, 3, 8, 8), np.float32), targets=[0])
    assert messages(logged, "frameworks") == ["a model of torch is exported, to run in onnx"]
    assert any(
        re.fullmatch(r"Runtime made in \d+\.\d\d s", each) for each in messages(logged, "frameworks", logging.DEBUG)
    )


def test_a_study(logged, tmp_path):
    from tests.evaluate.quadrant_model import quadrant_classifier

    images = [np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8) for seed in range(2)]
    seewhy.evaluate.study(
        quadrant_classifier(), images, ["gradcam"], ["gini"], layer="features", out=tmp_path / "study"
    )
    assert messages(logged, "evaluate") == [
        f"measuring 2 images by 3 methods and 1 metrics, in {tmp_path / 'study'}",
        f"the study in {tmp_path / 'study'} is complete",
    ]


def test_explanations_of_a_training(logged, tmp_path):
    from seewhy.integrations import KerasExplanations

    model = small_model()
    model.compile("sgd", "mse")
    image = np.zeros((12, 12, 3), np.uint8)
    callback = KerasExplanations(
        [image], tmp_path / "out", every=1, layer="features", preprocess=lambda images: images / 255
    )
    model.fit(np.zeros((2, 12, 12, 3)), np.zeros((2, 3)), epochs=1, verbose=0, callbacks=[callback])
    assert messages(logged, "integrations") == [
        f"wrote the explanations of 1 images in epoch {epoch} to {tmp_path / 'out' / f'epoch-000{epoch}'}"
        for epoch in (0, 1)
    ]


def test_every_logger_is_that_of_a_room():
    found = set()
    for path in Path(seewhy.__file__).parent.rglob("*.py"):
        for name in re.findall(r'getLogger\("seewhy\.?(\w*)"\)', path.read_text("utf-8")):
            room = path.relative_to(Path(seewhy.__file__).parent).parts[0].removesuffix(".py")
            assert name in ("", room), path
            found |= {name} - {""}
    assert found == ROOMS


@pytest.fixture
def image(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)


def command_line(monkeypatch, capfd, *arguments):
    from seewhy.cli import main

    monkeypatch.setattr(sys, "argv", ["seewhy", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, *capfd.readouterr()


@pytest.mark.usefixtures("image")
def test_the_log_of_the_command_line(monkeypatch, capfd):
    before = list(logging.getLogger("seewhy").handlers)
    explain = ("explain", "a.png", "--weights", "none", "--layer", "top_relu6", "--quiet")
    code, out, err = command_line(monkeypatch, capfd, *explain, "--log-level", "info")
    assert (code, out) == (0, "")
    lines = [line for line in err.splitlines() if not line.startswith("Note: ")]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO seewhy\.\w+: ", line) for line in lines)
    assert [line.partition(": ")[2].partition(" ")[0] for line in lines][:2] == ["efficientnet-lite0", "loaded"]
    assert logging.getLogger("seewhy").handlers == before
    code, out, err = command_line(monkeypatch, capfd, *explain, "--log-level", "debug")
    assert " DEBUG seewhy.pipeline: plan for inputs " in err
    code, out, err = command_line(monkeypatch, capfd, *explain)
    assert " INFO " not in err
    assert not logging.getLogger("seewhy.pipeline").isEnabledFor(logging.INFO)
    code, out, err = command_line(monkeypatch, capfd, *explain, "--log-level", "loud")
    assert code == 2
    assert "'loud' is not one of 'debug', 'info', 'warning', 'error'" in err
    assert logging.getLogger("seewhy").handlers == before


def test_names_of_files_can_neither_control_the_terminal_nor_add_lines(capsys):
    from seewhy.cli.log_option import log_to_stderr

    with log_to_stderr(logging.INFO):
        logging.getLogger("seewhy.models").info("loaded %s", "a\x1b[2J\nb.onnx")
    assert capsys.readouterr().err.endswith("INFO seewhy.models: loaded a\\x1b[2J b.onnx\n")
