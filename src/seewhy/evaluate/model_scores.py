"""Scores of images and of perturbations of them, streamed through the model in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.attribution.checks import check_batch_size, check_images, check_scores
from seewhy.attribution.independence import capture_images
from seewhy.errors import InputError, ModelRunError
from seewhy.evaluate.tensor_values import as_array, as_list
from seewhy.explainer import Explainer, ModelSource, as_classifier
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.frameworks.structures import InputBatch, is_image_batch, leaves, only_leaf
from seewhy.images.reading import ImageLike
from seewhy.models import Classifier, Inputs
from seewhy.models.samples import is_sample
from seewhy.targets import Class, Objective, TargetSpec
from seewhy.types import DoubleArray, FloatArray, Score

ModelLike = Explainer | ModelSource
"""A classifier, a model, its name or path; or an explainer, in whose precision and backend the model then runs."""

ImagesLike = ImageLike | Iterable[ImageLike] | Inputs | FloatArray
"""Paths, PIL images or uint8 arrays (H, W, 3); or inputs that are preprocessed already: `Inputs`, or an array or a
tensor of floats (N, ...)."""


class Perturbation(NamedTuple):
    """A perturbation of an image, to be scored for one of its targets.

    Attributes:
        image: The position of the image in its batch.
        target: The position of the target.
        pixels: (h, w, C), channels last, as the model takes them.
    """

    image: int
    target: int
    pixels: FloatArray


@final
@dataclass(frozen=True)
class RunningModel:
    """What runs a model, and what its scores are.

    Attributes:
        classifier: Preprocesses images.
        framework: Runs the model.
        score: Whether scores are logits or probabilities.
        output: The output that has the scores, of a model with several.
        batch_size: How many inputs run at once.
    """

    classifier: Classifier
    framework: Framework
    score: Score
    output: int | str | None
    batch_size: int

    def objective(self, targets: TargetSpec) -> Objective:
        """Return what the scores of targets are."""
        return Objective(self.classifier.resolve(as_list(targets), self.output), self.score, self.output)

    def inputs(self, images: Any) -> InputBatch:
        """Return images, or inputs that are preprocessed already, as the model takes them.

        Raises:
            InputError: The model has other inputs than one of images.
        """
        if not _is_preprocessed(images) and any(map(is_sample, images)):
            raise InputError(
                "The metrics change the pixels of the one image that a model takes; given samples of several inputs. "
                "Give images, and a model with one input."
            )
        values = images if _is_preprocessed(images) else self.classifier.preprocess(images)
        inputs = self.framework.check_inputs(values)
        if not is_image_batch(inputs):
            shapes = ", ".join(str(tuple(array.shape)) for array in leaves(inputs))
            raise InputError(f"The metrics change the pixels of one input of images, (N, h, w, C); given {shapes}.")
        return inputs

    def scores(self, inputs: InputBatch, objective: Objective) -> tuple[DoubleArray, Any]:
        """Return the scores (n, T) of inputs and the classes (n, T) that they belong to.

        Raises:
            ModelRunError: The model failed, or a score is NaN or infinite.
        """
        capture = capture_images(self.framework, inputs, LayerChoice(INPUT), objective, "none")
        check_scores(capture, len(only_leaf(inputs)), self.classifier)
        scores = self.framework.to_numpy(capture.scores).astype(np.float64)
        if not np.isfinite(scores).all():
            raise ModelRunError("The model gave NaN or infinite scores: its weights may be damaged.")
        return scores, self.framework.to_numpy(capture.indices)


@final
@dataclass(frozen=True)
class ScoredImages:
    """A batch of the images that are evaluated, with their scores.

    Attributes:
        start: The position of the first image among all that were given.
        pixels: (n, h, w, C), channels last, preprocessed.
        scores: (n, T), of the images themselves.
        classes: (n, T), negative for targets that are not classes.
        model: Runs the model.
        objective: What the scores are, with every class as an index.
    """

    start: int
    pixels: FloatArray
    scores: DoubleArray
    classes: Any
    model: RunningModel
    objective: Objective

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the model's input."""
        height, width = self.pixels.shape[1:3]
        return height, width

    def score(self, perturbations: Iterable[Perturbation]) -> DoubleArray:
        """Return the score (M,) of each perturbation, running `batch_size` of them at once.

        The pixels of a perturbation are copied before the next one is made, so that they may share memory.
        """
        return np.concatenate([np.zeros(0), *(self._run(*batch) for batch in self._batches(perturbations))])

    def _batches(self, perturbations: Iterable[Perturbation]) -> Iterator[tuple[list[Perturbation], FloatArray]]:
        """Yield batches as the model takes them.

        Only classes may be mixed in one, for any other target belongs to one image.
        """
        if self.objective.target.is_classes:
            yield from self._filled(perturbations)
        else:
            for _, group in groupby(perturbations, lambda each: each.image):
                yield from self._filled(group)

    def _filled(self, perturbations: Iterable[Perturbation]) -> Iterator[tuple[list[Perturbation], FloatArray]]:
        framework, remaining = self.model.framework, iter(perturbations)
        shape = (self.model.batch_size, *self.pixels.shape[1:])
        order = (0, 3, 1, 2) if framework.channels_first else (0, 1, 2, 3)
        while first := next(remaining, None):
            array = np.empty([shape[axis] for axis in order], np.float32)
            rows: list[Perturbation] = []
            values = array.transpose(np.argsort(order))
            for each in chain([first], islice(remaining, len(array) - 1)):
                values[len(rows)] = each.pixels
                rows.append(each)
            # What was compiled for one number of images serves the last batch too, filled with copies.
            values[len(rows) :] = values[len(rows) - 1]
            yield rows, array if framework.compiles_batch_size else array[: len(rows)]

    def _run(self, rows: list[Perturbation], array: FloatArray) -> DoubleArray:
        inputs = self.model.framework.check_inputs(array)
        if self.objective.target.is_classes:
            classes = [int(self.classes[each.image, each.target]) for each in rows]
            classes += classes[-1:] * (len(array) - len(rows))
            target = Class(tuple((each,) for each in classes))
            scores, _ = self.model.scores(inputs, Objective(target, self.objective.score, self.objective.output))
            return scores[: len(rows), 0]
        scores, _ = self.model.scores(inputs, self.objective.for_image(rows[0].image))
        return scores[np.arange(len(rows)), [each.target for each in rows]]


def running_model(model: ModelLike, *, score: Score, batch_size: int) -> RunningModel:
    """Return what runs a model, of whatever kind a caller gave it."""
    check_batch_size(batch_size)
    if isinstance(model, Explainer):
        return RunningModel(model.classifier, model.framework, score, model.output, batch_size)
    classifier = as_classifier(model)
    return RunningModel(classifier, classifier.framework, score, None, batch_size)


def image_list(images: ImagesLike) -> Any:
    """Return images as a sequence that can be sliced; inputs that are preprocessed already as an array."""
    if isinstance(images, Inputs):
        return np.asarray(images.values)
    if not isinstance(images, (str, list, tuple, np.ndarray)) and len(getattr(images, "shape", ())) > 2:
        images = as_array(images, "The images")
    return images if _is_preprocessed(images) else check_images(images)


def scored_batches(model: RunningModel, images: Any, targets: TargetSpec) -> Iterator[ScoredImages]:
    """Preprocess and score images in batches, of which one is in memory at a time.

    Args:
        model: Runs the model.
        images: What `image_list` returns.
        targets: The targets of all images.

    Raises:
        ImageError, InputError, TargetError, ModelRunError: An image, or a target, does not fit the model; or it failed.
    """
    objective = model.objective(targets)
    objective.target.check_images(len(images))
    for start in range(0, len(images), model.batch_size):
        stop = start + model.batch_size
        inputs = model.inputs(images[start:stop])
        own = Objective(objective.target.slice_images(start, stop), objective.score, objective.output)
        scores, classes = model.scores(inputs, own)
        own = own.with_classes(classes) if own.target.is_classes else own
        pixels = only_leaf(inputs)
        pixels = np.moveaxis(pixels, 1, -1) if model.framework.channels_first else pixels
        yield ScoredImages(start, pixels, scores, classes, model, own)


def _is_preprocessed(images: Any) -> bool:
    """Whether this is an array of floats: images are bytes."""
    return isinstance(images, np.ndarray) and images.dtype.kind == "f"
