"""Evaluate a classifier on images that it was not trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from seewhy.errors import ImageError
from seewhy.images.reading import ImageLike, read_each
from seewhy.models import Classifier
from seewhy.types import IndexArray

BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class EvaluationImages:
    """Images that the model was not trained on.

    Attributes:
        images: Paths or arrays.
        names: The name of each image: its path in the data folder, or "x_test[17]".
        true_classes: The index of the true class of each image.
    """

    images: Sequence[ImageLike]
    names: Sequence[str]
    true_classes: Sequence[int]


class EvaluatedImage(NamedTuple):
    """The true and the predicted class of one image; both probabilities are the model's, in 0..1."""

    position: int
    true_class: int
    true_probability: float
    predicted_class: int
    predicted_probability: float


def evaluate(
    classifier: Classifier,
    evaluation: EvaluationImages,
    skipped: list[ImageError] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[EvaluatedImage]:
    """Classify the images, batch by batch.

    Args:
        classifier: The classifier.
        evaluation: The images.
        skipped: A list to which the errors of images that cannot be read are added; None raises them.
        batch_size: How many images run at once.

    Raises:
        ImageError: An image cannot be read.
    """
    images = enumerate(read_each(evaluation.images))
    while batch := list(islice(images, batch_size)):
        readable = []
        for position, image in batch:
            if not isinstance(image, ImageError):
                readable.append((position, image))
            elif skipped is None:
                raise image
            else:
                skipped.append(image)
        predicted = classifier.predict([image for _, image in readable]) if readable else []
        for (position, _), predictions in zip(readable, predicted, strict=True):
            true_class, best = evaluation.true_classes[position], predictions[0]
            true_probability = next(
                prediction.probability for prediction in predictions if prediction.index == true_class
            )
            yield EvaluatedImage(position, true_class, true_probability, best.index, best.probability)


def confusion_matrix(images: Sequence[EvaluatedImage], classes: int) -> IndexArray:
    """Count the images by true class (rows) and predicted class (columns), int32 (classes, classes)."""
    matrix = np.zeros((classes, classes), dtype=np.int32)
    for image in images:
        matrix[image.true_class, image.predicted_class] += 1
    return matrix
