"""The recipe `digits`: a small model that reads handwritten digits, trained from nothing in a minute."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from seewhy.errors import OptionError
from seewhy.models import Classifier, Preprocessing
from seewhy.train.augmentation import distort
from seewhy.train.digits_data import CLASSES, SIDE, Digits, read_digits
from seewhy.train.plots import draw_history, write_figure
from seewhy.train.progress import TrainingProgress
from seewhy.train.run import Row, Run, RunConfig
from seewhy.train.training_loop import Data, TrainingPhase, fit

KIND = "digits"
PLAIN_EPOCHS, AUGMENTED_EPOCHS = 10, 30
PLAIN_RATE, AUGMENTED_RATE = 1e-3, 2e-3


@dataclasses.dataclass(frozen=True)
class DigitsRecipe:
    """How the model is trained.

    Attributes:
        epochs: None is 10, or 30 with `augment`.
        batch_size: Digits in each step.
        seed: Of the weights, of the order of the digits and of their distortions.
        augment: False keeps the learning rate at 0.001 and shows the digits as they are. True shows each digit
            distorted anew in every epoch, while the learning rate falls from 0.002 to 0 along half a cosine.

    Raises:
        OptionError: A number is out of range.
    """

    epochs: int | None = None
    batch_size: int = 64
    seed: int = 0
    augment: bool = False

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"{name} is {value}; expected {least} or more.")

    @property
    def all_epochs(self) -> int:
        """How many epochs it is."""
        return self.epochs or (AUGMENTED_EPOCHS if self.augment else PLAIN_EPOCHS)

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        if not self.augment:
            return PLAIN_RATE
        return AUGMENTED_RATE * (1 + math.cos(math.pi * epoch / self.all_epochs)) / 2


def train_digits(
    data: Path, out: Path, recipe: DigitsRecipe, *, resume: bool = False, console: Console | None = None
) -> list[Row]:
    """Train the model on a file of digits, and leave it in a folder with its history.

    Args:
        data: An `.npz` file with x_train, y_train, x_test, y_test.
        out: The folder, which is not there or empty, unless `resume`.
        recipe: How.
        resume: Go on after the last finished epoch.
        console: Where progress is shown.

    Returns:
        A row for each epoch; "validation_accuracy" is that on the test digits. The last epoch's model is kept.

    Raises:
        InputError: The file is not what it should be.
        OptionError: The folder is taken, or holds another run.
        OutputError: Something cannot be written.
    """
    digits = read_digits(data)
    run = Run(out)
    settings = {**dataclasses.asdict(recipe), "epochs": recipe.all_epochs, "data_sha256": digits.sha256}
    run.begin(RunConfig(KIND, str(data.absolute()), settings), resume=resume)
    if run.is_finished:
        return run.history()
    model = build_model(recipe.seed)
    phase = TrainingPhase(recipe.all_epochs, recipe.learning_rate)
    rows = fit(model, [phase], _data(digits, recipe), run, recipe.seed, TrainingProgress(console, "test"))
    classifier(model).save(run.model)
    write_figure(draw_history(rows, "test"), out / "history.png")
    run.finish()
    return rows


def build_model(seed: int) -> Any:
    """Build the model, 119,530 parameters: float32 (N, 28, 28, 1) in 0..1 to probabilities (N, 10)."""
    layers = keras.layers

    def kernel(number: int) -> Any:
        return keras.initializers.GlorotUniform(seed=int(np.random.default_rng((seed, number)).integers(2**31)))

    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer=kernel(0), name="conv2d"),
            layers.MaxPooling2D(2, name="max_pooling2d"),
            layers.Conv2D(64, 3, padding="same", activation="relu", kernel_initializer=kernel(1), name="conv2d_1"),
            layers.MaxPooling2D(2, name="max_pooling2d_1"),
            layers.Flatten(name="flatten"),
            layers.Dense(32, activation="relu", kernel_initializer=kernel(2), name="dense"),
            layers.Dense(CLASSES, activation="softmax", kernel_initializer=kernel(3), name="dense_1"),
        ],
        name="digits",
    )


def classifier(model: Any) -> Classifier:
    """Return the model with what it is to be shown images by: grey, light digits on dark, in 0..1."""
    return Classifier(
        model,
        preprocess=Preprocessing(size=(SIDE, SIDE), std=255.0, grey=True),
        class_names=[str(digit) for digit in range(CLASSES)],
        name="digits",
    )


def _data(digits: Digits, recipe: DigitsRecipe) -> Data:
    training, test = (np.asarray(images / 255, dtype=np.float32) for images in (digits.x_train, digits.x_test))

    def epoch_data(epoch: int) -> dict[str, Any]:
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(training))
        images = distort(training, (recipe.seed, epoch)) if recipe.augment else training
        return {"x": images[order][..., None], "y": digits.y_train[order], "batch_size": recipe.batch_size}

    return Data(epoch_data, (test[..., None], digits.y_test))
