"""The recipe `digits`: train a small model for handwritten digits from scratch, in a minute."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from seewhy.errors import OptionError
from seewhy.images.figure import check_matplotlib
from seewhy.models import Classifier, Preprocessing
from seewhy.train.digits_augmentation import distort
from seewhy.train.digits_data import CLASSES, SIDE, Digits, read_digits
from seewhy.train.plots import draw_history, write_figure
from seewhy.train.progress import TrainingProgress
from seewhy.train.run_folder import Row, Run, RunConfig
from seewhy.train.training_loop import TrainingData, TrainingPhase, fit

KIND = "digits"
PLAIN_EPOCHS, AUGMENTED_EPOCHS = 10, 30
PLAIN_RATE, AUGMENTED_RATE = 1e-3, 2e-3


@dataclasses.dataclass(frozen=True)
class DigitsRecipe:
    """The settings of the recipe.

    Attributes:
        epochs: None is 10, or 30 with `augment`.
        batch_size: The number of digits in a batch.
        seed: The seed of the weights, of the order of the digits, and of the augmentation.
        augment: True augments the digits at random in every epoch, with a cosine decay of the learning rate from
            0.002 to 0. False trains on the original digits with a learning rate of 0.001.

    Raises:
        OptionError: A number is out of range.
    """

    epochs: int | None = None
    batch_size: int = 64
    seed: int = 0
    augment: bool = False

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise OptionError(f"{name} is {value}; expected {minimum} or more.")

    @property
    def total_epochs(self) -> int:
        """The number of epochs."""
        return self.epochs or (AUGMENTED_EPOCHS if self.augment else PLAIN_EPOCHS)

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        if not self.augment:
            return PLAIN_RATE
        return AUGMENTED_RATE * (1 + math.cos(math.pi * epoch / self.total_epochs)) / 2


def train_digits(
    data: Path, out: Path, recipe: DigitsRecipe, *, resume: bool = False, console: Console | None = None
) -> list[Row]:
    """Train the model on a file of digits, and save it in a folder with its history.

    Args:
        data: An `.npz` file with x_train, y_train, x_test, y_test.
        out: The folder of the run; it must be new or empty, unless `resume`.
        recipe: The settings.
        resume: True resumes an interrupted run after its last finished epoch.
        console: The console for progress; None prints nothing.

    Returns:
        A row for each epoch; "validation_accuracy" is the accuracy on the test digits. The model of the last epoch
        is saved.

    Raises:
        InputError: The data file is missing or invalid.
        MissingExtraError: matplotlib is not installed.
        OptionError: The folder is not empty, or contains another run.
        OutputError: A file cannot be written.
    """
    check_matplotlib()  # which draws the history, at the end
    digits = read_digits(data)
    run = Run(out)
    settings = {**dataclasses.asdict(recipe), "epochs": recipe.total_epochs, "data_sha256": digits.sha256}
    run.start(RunConfig(KIND, str(data.absolute()), settings), resume=resume)
    if run.is_finished:
        return run.history()
    model = build_model(recipe.seed)
    phase = TrainingPhase(recipe.total_epochs, recipe.learning_rate)
    rows = fit(model, [phase], _training_data(digits, recipe), run, recipe.seed, TrainingProgress(console, "test"))
    make_classifier(model).save(run.model_path)
    write_figure(draw_history(rows, "test"), out / "history.png")
    run.finish()
    return rows


def build_model(seed: int) -> Any:
    """Build the model, 119,530 parameters: float32 (N, 28, 28, 1) in 0..1 to probabilities (N, 10)."""
    layers = keras.layers

    def initializer(number: int) -> Any:
        return keras.initializers.GlorotUniform(seed=int(np.random.default_rng((seed, number)).integers(2**31)))

    # A functional model: code that rebuilds it, as tutorials do, needs `model.output`, also after it is loaded.
    image = x = keras.Input((SIDE, SIDE, 1))
    for layer in (
        layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer=initializer(0), name="conv2d"),
        layers.MaxPooling2D(2, name="max_pooling2d"),
        layers.Conv2D(64, 3, padding="same", activation="relu", kernel_initializer=initializer(1), name="conv2d_1"),
        layers.MaxPooling2D(2, name="max_pooling2d_1"),
        layers.Flatten(name="flatten"),
        layers.Dense(32, activation="relu", kernel_initializer=initializer(2), name="dense"),
        layers.Dense(CLASSES, activation="softmax", kernel_initializer=initializer(3), name="dense_1"),
    ):
        x = layer(x)
    return keras.Model(image, x, name="digits")


def make_classifier(model: Any) -> Classifier:
    """Return the model with its preprocessing (28 x 28, grey, values in 0..1) and class names."""
    return Classifier(
        model,
        preprocess=Preprocessing(size=(SIDE, SIDE), std=255.0, grey=True),
        class_names=[str(digit) for digit in range(CLASSES)],
        name="digits",
    )


def _training_data(digits: Digits, recipe: DigitsRecipe) -> TrainingData:
    training, test = (np.asarray(images / 255, dtype=np.float32) for images in (digits.x_train, digits.x_test))

    def epoch_data(epoch: int) -> dict[str, Any]:
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(training))
        images = distort(training, (recipe.seed, epoch)) if recipe.augment else training
        return {"x": images[order][..., None], "y": digits.y_train[order], "batch_size": recipe.batch_size}

    return TrainingData(epoch_data, (test[..., None], digits.y_test))
