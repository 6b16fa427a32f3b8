"""What callbacks of training loops share: a fixed sample of images, explained every few epochs."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from seewhy.attribution.checks import check_images
from seewhy.attribution.explainer_options import ExplainerOptions
from seewhy.errors import (
    ModelRunError,
    NoGradientError,
    NotPredictedError,
    OptionError,
    OutputError,
    SeewhyError,
    UsageError,
    short_repr,
    warn,
)
from seewhy.explainer import Explainer
from seewhy.images.animation import animation_writer
from seewhy.images.reading import ImageLike, read
from seewhy.images.writing import image_writer, write_atomically
from seewhy.integrations.random_state import preserved_random_state
from seewhy.integrations.tracker import Tracker
from seewhy.methods import Method
from seewhy.models import Classifier, Preprocessing
from seewhy.results.explanation import Explanation
from seewhy.targets import TargetSpec
from seewhy.types import FloatArray, ImageArray, LayerSpec, Score

_logger = logging.getLogger("seewhy.integrations")

MIN_SIDE = 128
"""In pixels: smaller images, such as digits, are enlarged by a whole number."""

SECONDS = 0.5
"""How long an animation shows each epoch."""

OF_THESE_WEIGHTS = (ModelRunError, NoGradientError, NotPredictedError)
"""What fails with the weights of one epoch, and may succeed with others."""


class ModelOptions(TypedDict, total=False):
    """What a callback needs to know of the model, as for `seewhy.Classifier`."""

    preprocess: Preprocessing | Callable[[FloatArray], Any] | None
    class_names: Sequence[str] | None
    input_size: tuple[int, ...] | None


class ExplanationOptions(ExplainerOptions, ModelOptions, total=False):
    """The options that a callback passes on to `seewhy.Classifier` and `seewhy.Explainer`."""

    method: str | Method
    layer: LayerSpec | Sequence[LayerSpec]
    score: Score


class TrainingExplanations:
    """Explains a fixed sample of images while a model is trained, and writes and logs what is drawn.

    Args:
        images: The sample: paths, PIL images or uint8 arrays (H, W, 3). They are read once, here.
        folder: Where the images are written.
        every: The number of epochs from one explanation to the next.
        targets: As for `Explainer.explain`.
        trackers: Where the images are logged too.
        **options: As for `seewhy.Classifier` and `seewhy.Explainer`.

    Raises:
        OptionError: The sample has no image, or `every` is not a number of epochs.
        ImageError: An image cannot be read.
    """

    def __init__(
        self,
        images: Iterable[ImageLike],
        folder: str | os.PathLike[str],
        every: int = 1,
        targets: TargetSpec = "top-1",
        trackers: Iterable[Tracker] = (),
        **options: Unpack[ExplanationOptions],
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise OptionError(f"every is {short_repr(every)}; expected a number of epochs, 1 or more.")
        are_grey = isinstance(images, np.ndarray) and images.ndim == 3 and images.shape[-1] > 4  # (N, H, W)
        sources = list(images) if are_grey else check_images(images)
        if not sources:
            raise OptionError("The sample has no image to explain: images is empty. Give a few validation images.")
        self._images = [read(image) for image in sources]
        self._sources = [os.fspath(image) if isinstance(image, (str, os.PathLike)) else None for image in sources]
        self.folder, self.every, self._targets = Path(folder), every, targets
        self._trackers = list(trackers)
        known = ModelOptions.__annotations__
        self._of_model = {name: value for name, value in options.items() if name in known}
        self._of_explainer = {name: value for name, value in options.items() if name not in known}
        self._explainer: Explainer | None = None
        self._epochs: list[int] = []

    def __len__(self) -> int:
        return len(self._images)

    def start(self, epoch: int) -> None:
        """Start the trackers, before a training begins after a number of epochs.

        Raises:
            SeewhyError: A tracker cannot be used, or the folder cannot be one.
        """
        try:
            names = [path.name.removeprefix("epoch-") for path in self.folder.glob("epoch-*")]
        except OSError as error:  # such as a name that is too long
            raise OutputError(f"Cannot write to the folder {self.folder}: {error.strerror or error}.") from error
        self._epochs = sorted(int(name) for name in names if name.isdecimal() and int(name) < epoch)  # if it is resumed
        self._explainer = None
        with preserved_random_state(), ExitStack() as started:
            for tracker in self._trackers:
                tracker.start()
                started.callback(_close, tracker)
            started.pop_all()  # if one cannot be started, those before it are closed

    def explain(self, model: Any, epoch: int, counters: Iterable[Any] = ()) -> None:
        """Explain the sample, write its images, and log them. What fails is a warning: the training goes on.

        Args:
            model: The model in training.
            epoch: The number of epochs trained so far.
            counters: Variables of the model that count, such as the states of its random generators.

        Raises:
            UsageError: The model cannot be explained in this way, at the first attempt.
        """
        is_first = self._explainer is None
        with preserved_random_state(counters):
            try:
                self._log(self._explain(model), epoch)
            except OF_THESE_WEIGHTS as error:
                warn(f"No explanations of epoch {epoch}; training goes on, and may have diverged. {error}")
            except SeewhyError as error:
                if is_first and isinstance(error, UsageError):
                    raise
                warn(f"No explanations of epoch {epoch}; training goes on. {error}")

    def finish(self) -> None:
        """Write the animations over the epochs, and close the trackers, when a training ends."""
        with preserved_random_state():
            try:
                self._write_animations()
            except SeewhyError as error:
                warn(f"No animation over the epochs. {error}")
            finally:
                for tracker in self._trackers:
                    _close(tracker)
        self._explainer = None  # which holds the model

    def _explain(self, model: Any) -> list[Explanation]:
        if self._explainer is None or self._explainer.classifier.model is not model:
            self._explainer = Explainer(Classifier(model, **self._of_model), **self._of_explainer)  # type: ignore[arg-type]
        return self._explainer.explain(self._images, self._targets)

    def _log(self, explanations: Sequence[Explanation], epoch: int) -> None:
        folder = self._epoch_folder(epoch)
        images = {f"image-{row}": image_of(explanation) for row, explanation in enumerate(explanations)}
        for name, image in images.items():
            write_atomically(folder / f"{name}.png", image_writer(image, ".png"))
        facts = [each.as_dict() | {"image": source} for each, source in zip(explanations, self._sources, strict=True)]
        content = (json.dumps(facts, indent=2) + "\n").encode()
        write_atomically(folder / "explanations.json", lambda file: file.write(content))
        self._epochs.append(epoch)
        _logger.info("wrote the explanations of %d images in epoch %d to %s", len(images), epoch, folder)
        for tracker in self._trackers:
            try:
                tracker.log({f"seewhy/{name}": image for name, image in images.items()}, epoch)
            except SeewhyError as error:
                warn(f"{error} Training goes on; the images are in {folder}.")

    def _write_animations(self) -> None:
        for row in range(len(self._images)) if self._epochs else ():
            paths = [self._epoch_folder(epoch) / f"image-{row}.png" for epoch in self._epochs]
            frames = [read(path) for path in paths if path.is_file()]
            if not frames:
                raise OutputError(f"The images of the epochs are no longer in {self.folder}.")
            alike = [frame for frame in frames if frame.shape == frames[-1].shape]  # others have more targets, or fewer
            write_atomically(self.folder / f"image-{row}.webp", animation_writer(alike, ".webp", SECONDS))

    def _epoch_folder(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}"


def _close(tracker: Tracker) -> None:
    """Close a tracker; that it fails is a warning, as the model is trained."""
    try:
        tracker.close()
    except SeewhyError as error:
        warn(f"A tracker could not be closed; its last images may be missing there. {error}")


def image_of(explanation: Explanation) -> ImageArray:
    """Return the image and the overlay of each target side by side, uint8 (H, W, 3)."""
    overlays = [explanation.overlay(position) for position in range(len(explanation.targets))]
    image = np.concatenate([explanation.image, *overlays], axis=1)
    factor = -(-MIN_SIDE // min(explanation.image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else image
