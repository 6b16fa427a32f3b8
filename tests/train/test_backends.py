"""Training on the Keras backend of this process: resumed runs, and transfer learning with real weights.

`make test-all` runs this on TensorFlow, JAX and PyTorch.
"""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import seewhy
from seewhy.train import digits as digits_recipe
from seewhy.train import training_loop
from seewhy.train.digits import DigitsRecipe, train_digits
from seewhy.train.run_folder import Run
from seewhy.train.training_loop import TrainingPhase
from seewhy.train.transfer import TransferRecipe, train_transfer

MAKE_IMAGES = Path(__file__).parents[2] / "examples" / "ones_and_sevens.py"
IMAGES_PER_CLASS = 60
"""The tutorial's 150 take minutes where nothing is compiled."""


RECIPE = DigitsRecipe(epochs=2, seed=3)


def saved_state(folder):
    """Return the weights and the optimizer's variables in the model file of a run."""
    model = keras.saving.load_model(folder / "model.keras")
    return [keras.ops.convert_to_numpy(variable) for variable in (*model.weights, *model.optimizer.variables)]


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole_run(few_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return train_digits(few_digits, folder, RECIPE), saved_state(folder)


def after_the_last_epoch(monkeypatch):
    """Interrupted when the model is already saved, in the last step before the checkpoint is deleted."""
    monkeypatch.setattr(digits_recipe, "write_figure", interrupt)
    return RECIPE.epochs


def before_the_model_is_saved(monkeypatch):
    monkeypatch.setattr(digits_recipe, "make_classifier", interrupt)
    return RECIPE.epochs


def in_the_last_epoch(monkeypatch):
    train_epoch = training_loop._train_epoch
    monkeypatch.setattr(
        training_loop, "_train_epoch", lambda *values: interrupt() if values[2] == 1 else train_epoch(*values)
    )
    return RECIPE.epochs - 1


@pytest.mark.parametrize("stop", [in_the_last_epoch, before_the_model_is_saved, after_the_last_epoch])
def test_a_resumed_run_saves_the_weights_and_the_state_of_the_optimizer(whole_run, few_digits, tmp_path, stop):
    rows, expected = whole_run
    with pytest.MonkeyPatch.context() as monkeypatch:
        finished = stop(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            train_digits(few_digits, tmp_path, RECIPE)
    assert len(Run(tmp_path).load_checkpoint().history) == finished
    assert train_digits(few_digits, tmp_path, RECIPE, resume=True) == rows
    found = saved_state(tmp_path)
    assert len(found) == len(expected) == 8 + 2 + 2 * 8  # Adam: steps, learning rate, and two moments of each weight
    assert found[8] == 8  # steps: 4 batches of 64 in each epoch
    assert all(np.abs(values).max() > 0 for values in found[10:])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_run_keeps_the_optimizer_of_the_phase_that_was_last(tmp_path):
    """Also where a phase without epochs follows, which makes other layers trainable."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(2, activation="softmax")])
    set_trainable = []
    phases = [
        TrainingPhase(1, lambda _: 0.1, lambda: set_trainable.append(0)),
        TrainingPhase(0, lambda _: 0.1, lambda: set_trainable.append(1)),
    ]
    x, y = np.eye(2, dtype=np.float32), np.arange(2)
    data = training_loop.TrainingData(lambda _: {"x": x, "y": y}, (x, y))
    progress = training_loop.TrainingProgress(None, "test")
    training_loop.fit(model, phases, data, Run(tmp_path), 0, progress)
    trained = [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
    model.compile()
    training_loop.fit(model, phases, data, Run(tmp_path), 0, progress)
    assert set_trainable == [0, 0]
    for variable, expected in zip(model.optimizer.variables, trained, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), expected)


@pytest.mark.slow(reason="trains on EfficientNet-Lite0 with its real weights; test_transfer.py uses random weights")
def test_two_classes_on_efficientnet_lite0(tmp_path):
    subprocess.run([sys.executable, MAKE_IMAGES, tmp_path / "data"], check=True)
    for path in (tmp_path / "data").glob("*/*.png"):
        if int(path.stem) >= IMAGES_PER_CLASS:
            path.unlink()
    result = train_transfer(tmp_path / "data", tmp_path / "run", TransferRecipe(epochs=3))
    assert result.confusion_matrix.sum() == 2 * IMAGES_PER_CLASS / 5
    assert np.trace(result.confusion_matrix) / result.confusion_matrix.sum() >= 0.95
    assert result.best["validation_accuracy"] >= 0.95

    classifier = seewhy.load(tmp_path / "run")
    path = result.images.paths("validation")[-1]
    explanation = seewhy.explain(classifier, path, targets=["one", "seven"])
    assert explanation.layer == "efficientnet_lite0/top_relu6"
    assert [target.has_evidence for target in explanation.targets] == [True, True]

    # The head is a mean over 49 positions and one dense layer, so the heatmap is known: its kernel times the maps.
    inputs = keras.ops.convert_to_tensor(classifier.preprocess([path]).values)
    maps = keras.ops.convert_to_numpy(classifier.model.get_layer("efficientnet_lite0")(inputs, training=False))[0]
    kernel = keras.ops.convert_to_numpy(classifier.model.get_layer("classes").kernel)
    for position in (0, 1):
        expected = np.maximum(maps @ kernel[:, position] / 49, 0)
        np.testing.assert_allclose(explanation.heatmaps[position], expected, atol=1e-4 * expected.max())
