"""The recipe `transfer`: train a model for your own classes on top of a base model trained on ImageNet."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from rich.console import Console

from seewhy.errors import OptionError
from seewhy.images.figure import check_matplotlib
from seewhy.models import Classifier, load
from seewhy.train.base_models import BaseModel, build_base
from seewhy.train.evaluation import EvaluatedImage, EvaluationImages, confusion_matrix, evaluate
from seewhy.train.image_folder import ImageFolder, SplitName, find_labeled_images
from seewhy.train.plots import draw_confusion_matrix, draw_history, write_figure
from seewhy.train.progress import TrainingProgress
from seewhy.train.run_folder import Row, Run, RunConfig
from seewhy.train.training_loop import TrainingData, TrainingPhase, fit
from seewhy.types import FloatArray, IndexArray

KIND = "transfer"
HEAD_RATE, FINE_TUNING_RATE = 4e-3, 1e-5
MAX_ROTATION = 0.05
"""The largest rotation for augmentation, in both directions, as a fraction of a full turn: 18 degrees."""
DROPOUT = 0.2


@dataclasses.dataclass(frozen=True)
class TransferRecipe:
    """The settings of the recipe.

    Attributes:
        base: The base model: "efficientnet-lite0", or a model of `keras.applications`.
        pretrained: True starts with ImageNet weights; False with random ones, for a trial without a download.
        size: The height and width of the input, in pixels; None is 224.
        epochs: The number of epochs with a frozen base; only the new last layer is trained, at a learning rate of
            0.004.
        fine_tune: The number of further epochs in which the base is trained too, at a learning rate of 0.00001.
        batch_size: The number of images in a batch.
        validation: The fraction of each class for validation, if there is no `validation` folder.
        seed: The seed of the split, of the new weights, of the order of the images, and of the augmentation.
        augment: True flips and rotates the images at random, by up to 18 degrees, in every epoch.

    Raises:
        OptionError: A number is out of range.
    """

    base: str = "efficientnet-lite0"
    pretrained: bool = True
    size: int | None = None
    epochs: int = 5
    fine_tune: int = 0
    batch_size: int = 16
    validation: float = 0.2
    seed: int = 0
    augment: bool = True

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("fine_tune", 0), ("batch_size", 1), ("seed", 0), ("size", 1)):
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise OptionError(f"{name} is {value}; expected {minimum} or more.")


class TransferResult(NamedTuple):
    """The result of a run.

    Attributes:
        history: A row for each epoch.
        best: The row of the epoch whose weights are saved.
        images: The training, validation and skipped images.
        confusion_matrix: int32 (classes, classes), validation images by true class (rows) and predicted class
            (columns).
    """

    history: list[Row]
    best: Row
    images: ImageFolder
    confusion_matrix: IndexArray


def train_transfer(
    folder: Path,
    out: Path,
    recipe: TransferRecipe,
    *,
    resume: bool = False,
    console: Console | None = None,
    track: Callable[[list[Path]], Iterable[Path]] = iter,
) -> TransferResult:
    """Train a new last layer on a frozen base, then optionally fine-tune the base, and save the best weights.

    The best weights are those with the highest validation accuracy and, among equals, the lowest validation loss.

    Args:
        folder: Contains a folder of images for each class; or the folders `train` and `validation` with those.
        out: The folder of the run; it must be new or empty, unless `resume`.
        recipe: The settings.
        resume: True resumes an interrupted run after its last finished epoch.
        console: The console for progress; None prints nothing.
        track: Yields the paths of the images that it is given, and may show the progress of reading them.

    Raises:
        InputError: The data folder is missing or invalid.
        OptionError: The folder of the run is not empty, or contains another run.
        ModelError, MissingExtraError, WeightsError: The base model is unknown or cannot be loaded, or matplotlib is not
            installed.
        OutputError: A file cannot be written.
    """
    check_matplotlib()  # which draws the history and the confusion matrix, at the end
    images = find_labeled_images(folder, recipe.validation, recipe.seed, track)
    run = Run(out)
    settings = {**dataclasses.asdict(recipe), "data_sha256": images.sha256}
    config = RunConfig(KIND, str(folder.absolute()), settings)
    run.check(config, resume=resume)
    if not run.is_finished:
        # Before anything is written: a base that cannot be loaded must not leave a run behind in the folder.
        base = build_base(recipe.base, pretrained=recipe.pretrained, size=recipe.size)
        run.start(config, resume=resume)
        write_images_table(run, images)
        _train(run, base, images, recipe, console)
    rows = run.history()
    evaluated = list(evaluate(load(run.model_path), validation_images(images)))
    matrix = _write_confusion_matrix(run, evaluated, images.class_names)
    return TransferResult(rows, max(rows, key=_validation_rank), images, matrix)


def build_model(recipe: TransferRecipe, base: Any, classes: int) -> Any:
    """Build augmentation, base and a new last layer, from (N, h, w, 3) to probabilities (N, classes)."""
    layers = keras.layers
    image = keras.Input(base.input_shape[1:], name="image")
    x = image
    if recipe.augment:
        flip, rotate = layers.RandomFlip("horizontal", seed=0), layers.RandomRotation(MAX_ROTATION, "nearest", seed=0)
        x = keras.Sequential([flip, rotate], name="augmentation")(x)
    x = base(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(DROPOUT, seed=0, name="dropout")(x)
    initializer = keras.initializers.GlorotUniform(seed=int(np.random.default_rng(recipe.seed).integers(2**31)))
    outputs = layers.Dense(classes, activation="softmax", kernel_initializer=initializer, name="classes")(x)
    return keras.Model(image, outputs, name="transfer")


def set_trainable(base: Any, is_trainable: bool) -> None:
    """Freeze or unfreeze a base model; its batch normalisation stays frozen in both cases.

    Batches are too small and epochs too few to learn new statistics. Only `trainable=False` freezes them: in
    training, Keras calls all layers of a model with `training=True`, whatever they were called with before.
    """
    base.trainable = is_trainable
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def validation_images(images: ImageFolder) -> EvaluationImages:
    """Return the validation images with their true classes."""
    names = [image.path.as_posix() for image in images.split("validation")]
    return EvaluationImages(images.paths("validation"), names, images.labels("validation"))


def write_images_table(run: Run, images: ImageFolder) -> None:
    """Write the class and the split of each image to `images.csv`."""
    rows = [
        {"path": image.path.as_posix(), "class": image.class_name, "split": image.split, "reason": image.reason}
        for image in images.images
    ]
    run.write_table("images.csv", rows)


def _train(run: Run, base: BaseModel, images: ImageFolder, recipe: TransferRecipe, console: Console | None) -> None:
    model = build_model(recipe, base.model, len(images.class_names))
    classifier = Classifier(model, preprocess=base.preprocess, class_names=images.class_names)

    def save_best(rows: list[Row]) -> None:
        if max(rows, key=_validation_rank) is rows[-1]:
            classifier.save(run.model_path)

    phases = [
        TrainingPhase(recipe.epochs, lambda _: HEAD_RATE, partial(set_trainable, base.model, False)),
        TrainingPhase(recipe.fine_tune, lambda _: FINE_TUNING_RATE, partial(set_trainable, base.model, True)),
    ]
    data = TrainingData(
        lambda epoch: {"x": _batches(classifier, images, "train", recipe.batch_size, (recipe.seed, epoch))},
        _batches(classifier, images, "validation", recipe.batch_size),
    )
    rows = fit(model, phases, data, run, recipe.seed, TrainingProgress(console, "validation"), save_best)
    write_figure(draw_history(rows, "validation"), run.folder / "history.png")
    run.finish()


def _validation_rank(row: Row) -> tuple[float, float]:
    return (row["validation_accuracy"], -row["validation_loss"])


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Reads the images of one batch at a time, to save memory."""

    def __init__(self, classifier: Classifier, paths: list[Path], labels: list[int], batch_size: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.paths = paths
        self.labels = np.asarray(labels, dtype=np.int32)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.paths) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[FloatArray, IndexArray]:
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.classifier.preprocess(self.paths[batch]).values, self.labels[batch]


def _batches(
    classifier: Classifier, images: ImageFolder, split: SplitName, batch_size: int, seed: tuple[int, ...] | None = None
) -> _Batches:
    """Return the images of a split in batches, shuffled if there is a seed."""
    paths, labels = images.paths(split), images.labels(split)
    order = range(len(paths)) if seed is None else np.random.default_rng(seed).permutation(len(paths)).tolist()
    return _Batches(classifier, [paths[i] for i in order], [labels[i] for i in order], batch_size)


def _write_confusion_matrix(run: Run, images: list[EvaluatedImage], class_names: tuple[str, ...]) -> IndexArray:
    matrix = confusion_matrix(images, len(class_names))
    rows = [
        {"true_class": name, **dict(zip(class_names, counts.tolist(), strict=True))}
        for name, counts in zip(class_names, matrix, strict=True)
    ]
    run.write_table("confusion.csv", rows)
    write_figure(draw_confusion_matrix(matrix, class_names), run.folder / "confusion.png")
    return matrix
