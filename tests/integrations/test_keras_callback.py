"""Explanations while a Keras model is trained."""

import json
import random

import keras
import numpy as np
import pytest
from PIL import Image

from seewhy.errors import LayerError
from seewhy.explainer import Explainer
from seewhy.integrations import KerasExplanations, TensorBoard
from seewhy.integrations.training_explanations import image_of
from seewhy.models import Classifier

SCALING = {"preprocess": lambda pixels: pixels[..., :1] / 255}


@pytest.fixture(scope="session")
def digits(examples):
    with np.load(examples / "data" / "digits_4000.npz") as file:
        return file["x_train"][:96], file["y_train"][:96]


class Drawing(keras.layers.Layer):
    """Draws at random also when it predicts; its generator counts."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(5)

    def call(self, inputs):
        return inputs + 0.0 * keras.random.normal((1, 28, 28, 1), seed=self.generator)


def small_model():
    """A model with batch statistics, dropout and a generator of its own."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            Drawing(),
            keras.layers.Conv2D(4, 5, strides=3, activation="relu", name="conv"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


class States(keras.callbacks.Callback):
    """Keeps everything that an epoch leaves behind."""

    def __init__(self):
        super().__init__()
        self.after = []

    def on_epoch_end(self, epoch, logs=None):
        variables = [*self.model.variables, *self.model.optimizer.variables]
        drawn = np.array(keras.random.normal((3,)))  # by the global generator of Keras, which counts
        generators = [str(random.getstate()), str(np.random.get_state())]
        if keras.backend.backend() == "torch":
            import torch

            generators.append(torch.get_rng_state().numpy().tobytes())
        self.after.append([*(np.array(each).tobytes() for each in variables), drawn.tobytes(), *generators])


def train(digits, *callbacks):
    model, states = small_model(), States()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    x, y = digits
    model.fit(x[..., None] / 255, y, batch_size=32, epochs=3, verbose=0, callbacks=[*callbacks, states])
    return model, states.after


def test_a_training_is_bit_for_bit_the_same_and_its_pictures_are_written_and_logged(digits, tmp_path):
    images, folder = list(digits[0][:2]), tmp_path / "pictures"
    board = TensorBoard(tmp_path / "board")
    callback = KerasExplanations(images, folder, every=2, targets=[0, 1], trackers=[board], layer="conv", **SCALING)
    _, alone = train(digits)
    _, explained = train(digits, callback)
    assert len(alone) == 3
    assert explained == alone  # each state is of bytes and texts

    assert sorted(path.name for path in folder.iterdir()) == [
        *("epoch-0000", "epoch-0002", "image-0.webp", "image-1.webp")
    ]
    with Image.open(folder / "image-1.webp") as animation:
        assert (animation.n_frames, animation.size) == (2, (3 * 28 * 5, 28 * 5))  # enlarged five times
    facts = json.loads((folder / "epoch-0002" / "explanations.json").read_text())
    assert [target["index"] for target in facts[1]["targets"]] == [0, 1]

    pictures = [np.asarray(Image.open(folder / f"epoch-000{epoch}" / "image-1.png")) for epoch in (0, 2)]
    assert not np.array_equal(*pictures)
    events = read_events(tmp_path / "board")
    assert sorted(events) == [(f"seewhy/image-{row}", epoch) for row in (0, 1) for epoch in (0, 2)]
    np.testing.assert_array_equal(events["seewhy/image-1", 2], pictures[1])


def test_the_last_picture_is_that_of_the_trained_model(digits, tmp_path):
    """What an explainer keeps from one epoch to the next is nothing that depends on the weights."""
    model, callback = small_model(), KerasExplanations([digits[0][1]], tmp_path, targets=0, layer="conv", **SCALING)
    callback.set_model(model)
    callback.on_epoch_begin(0)
    for variable in model.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, seed=1))
    callback.on_epoch_end(0)
    (fresh,) = Explainer(Classifier(model, **SCALING), layer="conv").explain([digits[0][1]], 0)
    pictures = [np.asarray(Image.open(tmp_path / f"epoch-000{epoch}" / "image-0.png")) for epoch in (0, 1)]
    np.testing.assert_array_equal(pictures[1], image_of(fresh))
    assert not np.array_equal(*pictures)


def read_events(folder):
    """Return the pictures of event files by tag and step, read record by record: a length, its check, the event."""
    import io

    from tensorboardX.proto.event_pb2 import Event

    pictures = {}
    for path in folder.iterdir():
        content, start = path.read_bytes(), 0
        while start < len(content):
            length = int.from_bytes(content[start : start + 8], "little")
            event = Event.FromString(content[start + 12 : start + 12 + length])
            for value in event.summary.value:
                pictures[value.tag, event.step] = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
            start += 12 + length + 4
    return pictures


def test_a_training_after_one_that_was_interrupted_starts_anew(digits, tmp_path):
    class Interruption(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    class Calls(list):
        def start(self):
            self.append("start")

        def log(self, images, epoch):
            self.append(epoch)

        def close(self):
            self.append("close")

    model, calls = small_model(), Calls()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = digits[0][:32, ..., None] / 255, digits[1][:32]
    callback = KerasExplanations([digits[0][1]], tmp_path, targets=0, trackers=[calls], layer="conv", **SCALING)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=2, verbose=0, callbacks=[callback, Interruption()])
    assert calls == ["start", 0, 1]  # Keras says no end of it
    model.fit(x, y, epochs=1, verbose=0, callbacks=[callback])
    assert calls == ["start", 0, 1, "close", "start", 0, 1, "close"]


def test_a_model_without_a_layer_with_space_is_refused_before_the_training(digits, tmp_path):
    dense = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    dense.compile("sgd", "mse")
    callback = KerasExplanations([digits[0][0]], tmp_path, **SCALING)
    with pytest.raises(LayerError, match="positions"):
        dense.fit(np.zeros((2, 28, 28, 1)), np.zeros((2, 10)), verbose=0, callbacks=[callback])
