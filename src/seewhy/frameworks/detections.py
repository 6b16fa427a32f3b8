"""What a detector finds in an image."""

from dataclasses import dataclass
from typing import final

from seewhy.representation import ShortRepr

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
    """

    box: Box
    class_: int
    score: float
    number: int


def overlap(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = _area(first) + _area(second) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
