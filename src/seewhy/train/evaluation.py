"""The images a model is measured on, and what it takes them for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from seewhy.images.reading import ImageLike
from seewhy.models import Classifier
from seewhy.types import IndexArray

BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class HeldOutImages:
    """Images that were not trained on.

    Attributes:
        images: Paths or arrays.
        names: What each is called: a path in the data folder, or "x_test[17]".
        labels: The class of each.
    """

    images: Sequence[ImageLike]
    names: Sequence[str]
    labels: Sequence[int]


class Judgement(NamedTuple):
    """What a model says of one image; both probabilities are in 0..1."""

    position: int
    label: int
    predicted: int
    probability: float
    label_probability: float


def judge(classifier: Classifier, held_out: HeldOutImages) -> Iterator[Judgement]:
    """Classify the images, batch by batch.

    Raises:
        ImageError: An image cannot be read.
    """
    for start in range(0, len(held_out.images), BATCH_SIZE):
        ranked = classifier.predict(held_out.images[start : start + BATCH_SIZE])
        for position, predictions in enumerate(ranked, start):
            label, best = held_out.labels[position], predictions[0]
            of_label = next(each.probability for each in predictions if each.index == label)
            yield Judgement(position, label, best.index, best.probability, of_label)


def confusion(found: Sequence[Judgement], classes: int) -> IndexArray:
    """Count the images of each class (rows) that were taken for each class (columns)."""
    matrix = np.zeros((classes, classes), dtype=np.int32)
    for each in found:
        matrix[each.label, each.predicted] += 1
    return matrix
