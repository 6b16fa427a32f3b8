"""The recipe `transfer`: a model that knows a thousand classes learns yours, from a folder of images for each."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from rich.console import Console

from seewhy.errors import OptionError
from seewhy.models import Classifier, load
from seewhy.train.base_models import Base, build_base
from seewhy.train.evaluation import HeldOutImages, Judgement, confusion, judge
from seewhy.train.image_folder import ImageFolder, Part, find_images
from seewhy.train.plots import draw_confusion, draw_history, write_figure
from seewhy.train.progress import TrainingProgress
from seewhy.train.run import Row, Run, RunConfig
from seewhy.train.training_loop import Data, TrainingPhase, fit
from seewhy.types import FloatArray, IndexArray

KIND = "transfer"
HEAD_RATE, FINE_TUNING_RATE = 4e-3, 1e-5
TURN = 0.05
"""How far an image is turned, at most, either way, as part of a full turn: 18 degrees."""
DROPOUT = 0.2


@dataclasses.dataclass(frozen=True)
class TransferRecipe:
    """How the model is built and trained.

    Attributes:
        base: "efficientnet-lite0", or a model of `keras.applications`.
        pretrained: False begins with random weights, for trials without any to download.
        size: The side of the images, in pixels; None is the base's own, or 224.
        epochs: With the base as it is; only the new last layer is trained, at 0.004.
        fine_tune: Epochs after those in which the base is trained too, at 0.00001.
        batch_size: Images in each step.
        validation: Of each class's images, how many are for validation, where the folder does not say.
        seed: Of the split, of the new weights, of the order of the images, and of their distortions.
        augment: Show every image flipped or not and turned by up to 18 degrees, anew in every epoch.

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
        for name, least in (("epochs", 1), ("fine_tune", 0), ("batch_size", 1), ("seed", 0), ("size", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"{name} is {value}; expected {least} or more.")


class Result(NamedTuple):
    """What came of a run.

    Attributes:
        history: A row for each epoch.
        best: The row of the epoch whose weights are kept.
        images: What it was trained and measured on, and what was skipped.
        confusion: (classes, classes): validation images of each class (rows) taken for each (columns).
    """

    history: list[Row]
    best: Row
    images: ImageFolder
    confusion: IndexArray


def train_transfer(
    folder: Path,
    out: Path,
    recipe: TransferRecipe,
    *,
    resume: bool = False,
    console: Console | None = None,
    track: Callable[[list[Path]], Iterable[Path]] = iter,
) -> Result:
    """Train a new last layer upon a base, then perhaps the base, and keep the best weights.

    The best are those of the highest validation accuracy; among equals, of the lowest validation loss.

    Args:
        folder: Images in a folder for each class; or `train` and `validation`, which hold such folders.
        out: The run's folder, which is not there or empty, unless `resume`.
        recipe: How.
        resume: Go on after the last finished epoch.
        console: Where progress is shown.
        track: Hands on the paths of the images while they are looked at, and shows how far it is.

    Raises:
        InputError: The folder of images is not what it should be.
        OptionError: The run's folder is taken, or holds another run.
        ModelError, MissingExtraError, WeightsError: The base cannot be had.
        OutputError: Something cannot be written.
    """
    images = find_images(folder, recipe.validation, recipe.seed, track)
    run = Run(out)
    settings = {**dataclasses.asdict(recipe), "data_sha256": images.sha256}
    written = RunConfig(KIND, str(folder.absolute()), settings)
    run.check(written, resume=resume)
    if not run.is_finished:
        # Before anything is written: a base that cannot be had leaves no run that would be in the next one's way.
        base = build_base(recipe.base, pretrained=recipe.pretrained, size=recipe.size)
        run.begin(written, resume=resume)
        write_images(run, images)
        _train(run, base, images, recipe, console)
    rows = run.history()
    found = list(judge(load(run.model), held_out(images)))
    return Result(rows, max(rows, key=_goodness), images, _write_confusion(run, found, images.class_names))


def build_model(recipe: TransferRecipe, base: Any, classes: int) -> Any:
    """Build augmentation, base, and a new last layer: (N, h, w, 3) to probabilities (N, classes)."""
    layers = keras.layers
    image = keras.Input(base.input_shape[1:], name="image")
    x = image
    if recipe.augment:
        flip, turn = layers.RandomFlip("horizontal", seed=0), layers.RandomRotation(TURN, "nearest", seed=0)
        x = keras.Sequential([flip, turn], name="augmentation")(x)
    x = base(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(DROPOUT, seed=0, name="dropout")(x)
    kernel = keras.initializers.GlorotUniform(seed=int(np.random.default_rng(recipe.seed).integers(2**31)))
    outputs = layers.Dense(classes, activation="softmax", kernel_initializer=kernel, name="classes")(x)
    return keras.Model(image, outputs, name="transfer")


def set_trained(base: Any, is_trained: bool) -> None:
    """Let a base be trained or not; its normalisation goes by what it has seen before in either case.

    Batches are too small, and epochs too few, to learn anew what is normal. That only `trainable` can say: where a
    model trains, Keras calls all layers in it for training, whatever they were called with when it was built.
    """
    base.trainable = is_trained
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def held_out(images: ImageFolder) -> HeldOutImages:
    """Return the validation images."""
    names = [each.path.as_posix() for each in images.part("validation")]
    return HeldOutImages(images.paths("validation"), names, images.labels("validation"))


def write_images(run: Run, images: ImageFolder) -> None:
    """Write down what each image was for: `images.csv`."""
    rows = [
        {"path": each.path.as_posix(), "class": each.name, "part": each.part, "reason": each.reason}
        for each in images.all
    ]
    run.write_table("images.csv", rows)


def _train(run: Run, base: Base, images: ImageFolder, recipe: TransferRecipe, console: Console | None) -> None:
    model = build_model(recipe, base.model, len(images.class_names))
    classifier = Classifier(model, preprocess=base.preprocess, class_names=images.class_names)

    def keep_best(rows: list[Row]) -> None:
        if max(rows, key=_goodness) is rows[-1]:
            classifier.save(run.model)

    phases = [
        TrainingPhase(recipe.epochs, lambda _: HEAD_RATE, partial(set_trained, base.model, False)),
        TrainingPhase(recipe.fine_tune, lambda _: FINE_TUNING_RATE, partial(set_trained, base.model, True)),
    ]
    data = Data(
        lambda epoch: {"x": _batches(classifier, images, "train", recipe.batch_size, (recipe.seed, epoch))},
        _batches(classifier, images, "validation", recipe.batch_size),
    )
    rows = fit(model, phases, data, run, recipe.seed, TrainingProgress(console, "validation"), keep_best)
    write_figure(draw_history(rows, "validation"), run.folder / "history.png")
    run.finish()


def _goodness(row: Row) -> tuple[float, float]:
    return (row["validation_accuracy"], -row["validation_loss"])


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Reads images batch by batch, so that no more than one batch is held."""

    def __init__(self, classifier: Classifier, paths: list[Path], labels: list[int], batch_size: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.paths = paths
        self.labels = np.asarray(labels, dtype=np.int32)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.paths) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[FloatArray, IndexArray]:
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.classifier.preprocess(self.paths[part]).values, self.labels[part]


def _batches(
    classifier: Classifier, images: ImageFolder, part: Part, batch_size: int, seed: tuple[int, ...] | None = None
) -> _Batches:
    """Return a part in batches, in an order drawn from the seed, if there is one."""
    paths, labels = images.paths(part), images.labels(part)
    order = range(len(paths)) if seed is None else np.random.default_rng(seed).permutation(len(paths)).tolist()
    return _Batches(classifier, [paths[i] for i in order], [labels[i] for i in order], batch_size)


def _write_confusion(run: Run, found: list[Judgement], names: tuple[str, ...]) -> IndexArray:
    matrix = confusion(found, len(names))
    rows = [
        {"class": name, **dict(zip(names, counts.tolist(), strict=True))}
        for name, counts in zip(names, matrix, strict=True)
    ]
    run.write_table("confusion.csv", rows)
    write_figure(draw_confusion(matrix, names), run.folder / "confusion.png")
    return matrix
