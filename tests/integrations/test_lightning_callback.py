"""Explanations while a Lightning module is trained. Run in an environment that has Lightning, else skipped."""

import json
import random
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.errors import LayerError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what Lightning's own imports warn of
    lightning = pytest.importorskip(
        "lightning.pytorch", reason="Lightning is not installed: pip install 'seewhy[lightning]'"
    )

from seewhy.integrations import LightningExplanations

pytestmark = pytest.mark.filterwarnings("default")

SCALING = {"preprocess": lambda pixels: pixels[..., :1].transpose(0, 3, 1, 2) / 255, "input_size": (28, 28)}


class Digits(lightning.LightningModule):
    """A model with batch statistics and dropout."""

    def __init__(self):
        super().__init__()
        layers = torch.nn.Conv2d(1, 4, 5, stride=3), torch.nn.ReLU(), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5)
        self.network = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(256, 10))
        self.after = []

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.was_inference_mode = torch.is_inference_mode_enabled()
        self(batch[0])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)

    def on_train_epoch_start(self):
        """Keep all that the epoch before has left, and all callbacks after it."""
        optimizer = [value for state in self.optimizers().state.values() for value in state.values()]
        tensors = [*self.state_dict().values(), *optimizer, torch.get_rng_state()]
        generators = [str(random.getstate()), str(np.random.get_state())]
        self.after.append([*(each.numpy().tobytes() for each in tensors), *generators, self.network.training])

    on_train_end = on_train_epoch_start


@pytest.fixture(scope="session")
def digits(examples):
    with np.load(examples / "data" / "digits_4000.npz") as file:
        return file["x_train"][:96], file["y_train"][:96]


def trainer(*callbacks, epochs=3):
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", enable_model_summary=False, callbacks=list(callbacks), **options
    )


def loader(digits, *, shuffle):
    x = torch.tensor(digits[0][:, None] / 255, dtype=torch.float32)
    pairs = torch.utils.data.TensorDataset(x, torch.tensor(digits[1], dtype=torch.int64))
    return torch.utils.data.DataLoader(pairs, 32, shuffle=shuffle)


def train(digits, *callbacks):
    lightning.seed_everything(5)
    module = Digits()
    trainer(*callbacks).fit(module, loader(digits, shuffle=True), loader(digits, shuffle=False))
    return module


def test_a_training_is_bit_for_bit_the_same(digits, tmp_path):
    alone = train(digits)
    callback = LightningExplanations(list(digits[0][:2]), tmp_path, every=2, targets=[0, 1], **SCALING)
    explained = train(digits, callback)
    assert len(alone.after) == 4
    assert explained.after == alone.after
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("epoch-0000", "epoch-0002", "image-0.webp", "image-1.webp")
    ]
    with Image.open(tmp_path / "image-0.webp") as animation:
        assert animation.n_frames == 2


def test_a_validation_explains_with_gradients(digits, tmp_path):
    options = {"layer": "3", "model": lambda module: module.network}
    callback = LightningExplanations([digits[0][1]], tmp_path, targets="top-2", **options, **SCALING)
    module = Digits()
    trainer(callback).validate(module, loader(digits, shuffle=False), verbose=False)
    assert module.was_inference_mode
    (facts,) = json.loads((tmp_path / "epoch-0000" / "explanations.json").read_text())
    assert facts["layer"] == "3"
    assert [target["index"] for target in facts["targets"]] == [each["index"] for each in facts["predictions"][:2]]


def test_only_rank_zero_explains(digits, tmp_path):
    class SecondProcess:
        is_global_zero, current_epoch = False, 0

    callback, module = LightningExplanations([digits[0][1]], tmp_path, **SCALING), Digits()
    for hook in (callback.on_train_start, callback.on_train_epoch_end, callback.on_train_end):
        hook(SecondProcess(), module)
    assert not any(tmp_path.iterdir())


def test_a_model_without_a_layer_with_space_is_refused_before_the_training(digits, tmp_path):
    module = Digits()
    module.network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    with pytest.raises(LayerError, match="positions"):
        trainer(LightningExplanations([digits[0][1]], tmp_path, **SCALING)).fit(module, loader(digits, shuffle=True))
