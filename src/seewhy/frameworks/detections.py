"""What a detector finds in an image, and what runs it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

from seewhy.frameworks.structures import InputBatch
from seewhy.images.geometry import InputBox
from seewhy.representation import ShortRepr
from seewhy.targets import Objective
from seewhy.types import FloatArray

CLASS_LOGITS = "class_logits"
"""The key under which a detector's class logits are read, (N, candidates, columns)."""

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the model's input, as detectors give their boxes."""


@final
@dataclass(frozen=True, repr=False)
class DetectedBox(ShortRepr):
    """One detection.

    Attributes:
        box: Where it is, in pixels of the model's input.
        class_: The index of its class.
        score: How sure the model is, in 0..1.
        number: Its position among the model's detections of the image.
        probabilities: float32 (C,), of every class, of the candidate that it was made of; None where the model does not
            give them.
    """

    box: Box
    class_: int
    score: float
    number: int
    probabilities: FloatArray | None = field(default=None, compare=False)


class DetectorRunner(Protocol):
    """Runs a detector on one image."""

    def detections(self, inputs: InputBatch) -> tuple[DetectedBox, ...]:
        """Return what the detector finds, the surest first."""

    def class_logit_entries(self, inputs: InputBatch, numbers: Sequence[int]) -> list[tuple[int, int]]:
        """Return the row and the column, in the class logits, of detections that are given by number."""

    def detection_reaches(self, inputs: InputBatch, objective: Objective) -> list[dict[tuple[str, int], InputBox]]:
        """Return for each target the calls that all of its score passes, by path and execution.

        Each has the box of the positions that reach the score, as shares of the rows and columns.
        """


def overlap(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = _area(first) + _area(second) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
