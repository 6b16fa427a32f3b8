"""Evaluate a classifier on images that it was not trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from seewhy.images.reading import ImageLike
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


def evaluate(classifier: Classifier, evaluation: EvaluationImages) -> Iterator[EvaluatedImage]:
    """Classify the images, batch by batch.

    Raises:
        ImageError: An image cannot be read.
    """
    for start in range(0, len(evaluation.images), BATCH_SIZE):
        batch = classifier.predict(evaluation.images[start : start + BATCH_SIZE])
        for position, predictions in enumerate(batch, start):
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
