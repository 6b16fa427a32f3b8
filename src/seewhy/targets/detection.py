"""Targets for detectors: a detection that is looked for, and detections that were found."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError, short_repr
from seewhy.targets.target import (
    ClassFinder,
    ClassNamer,
    Shape,
    Target,
    TargetScores,
    find_class_index,
    is_index,
    parse_class,
)
from seewhy.types import FloatArray, IndexArray, Namespace, Tensor

TINY = 1e-24
"""Is added to squared lengths, so that none is 0."""


@final
@dataclass(frozen=True, repr=False)
class Detection(Target):
    """A detection of a detector: the class logit of one of its boxes.

    Attributes:
        box: (left, top, right, bottom) in pixels of the image, or for `Explainer.heatmaps` of the model's input: the
            detection that overlaps it most. None takes the surest.
        class_: The class of the detection: an index, a class name or a wnid; None for any class.
        rank: Which of the detections: 1 for the surest, or for the one that overlaps the box most, 2 for the next.

    Raises:
        TargetError: The box is not four finite numbers with a positive area, the rank is not an integer of 1 or more,
            or the class is unknown.
    """

    box: tuple[float, float, float, float] | None = None
    class_: int | str | None = None
    rank: int = 1

    def __post_init__(self) -> None:
        if self.class_ is not None:
            parse_class(self.class_)
        if not is_index(self.rank) or self.rank < 1:
            raise TargetError(f"The rank of a Detection is 1 for the surest; given {short_repr(self.rank)}.")
        if self.box is not None:
            object.__setattr__(self, "box", _checked_box(self.box))

    @property
    def key(self) -> Hashable:
        return Detection

    def resolve(self, find_class: ClassFinder) -> "Detection":
        return self if self.class_ is None else replace(self, class_=find_class_index(self.class_, find_class))

    def check_outputs(self, shape: Shape | None) -> None:
        raise _not_a_detector()

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        raise _not_a_detector()


@final
@dataclass(frozen=True, eq=False, repr=False)
class FixedDetections(Target):
    """Detections that a first run of the detector found in an image.

    With gradients, the score of a detection is its class logit, at a fixed row and column of the detector's class
    logits. Where the input is perturbed, other candidates may stand there: then it is the largest similarity to the
    detection d_t among all detections d_j, as in D-RISE. With L a box, P the probabilities of all classes, and O the
    objectness (equations 5 to 8):

        s(d_t, d_j) = IoU(L_t, L_j) * cos(P_t, P_j) * O_j

    For a detector without an objectness O_j is the probability of the class that is explained, so that two classes of
    one candidate are told apart. For one that does not give P, the cosine is 1 for detections of the same class and 0
    for others.

    Attributes:
        entries: int32 (T, 2), rows and columns.
        boxes: float32 (T, 4), left, top, right and bottom in pixels of the model's input.
        classes: int32 (T,).
        detection_names: T names.
        detection_scores: float32 (T,), how sure the detector is of each, in 0..1.
        is_matched: Whether detections are matched in every run.
        probabilities: float32 (T, C), of every class, for matching; None where the detector does not give them.

    Reference:
        Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps", CVPR 2021, arXiv 2006.03204.
    """

    entries: IndexArray
    boxes: NDArray[np.float32]
    classes: IndexArray
    detection_names: tuple[str, ...]
    detection_scores: NDArray[np.float32]
    is_matched: bool = False
    probabilities: FloatArray | None = None

    @property
    def key(self) -> Hashable:
        return (FixedDetections, self.is_matched, self.probabilities is not None)

    @property
    def target_count(self) -> int:
        return len(self.classes)

    @property
    def reads_one_output(self) -> bool:
        return not self.is_matched

    @property
    def reads_all_outputs(self) -> bool:
        return self.is_matched

    @property
    def reads_detections(self) -> bool:
        return True

    def at(self, positions: Sequence[int]) -> "FixedDetections":
        """Return the target for some of the detections."""
        chosen, names = list(positions), tuple(self.detection_names[position] for position in positions)
        fields = ("entries", "boxes", "classes", "detection_scores", "probabilities")
        known = {name: getattr(self, name) for name in fields}
        arrays: dict[str, Any] = {name: None if array is None else array[chosen] for name, array in known.items()}
        return replace(self, **arrays, detection_names=names)

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        known = () if self.probabilities is None else (self.probabilities,)
        arrays = (self.boxes, self.classes, *known) if self.is_matched else (self.entries, self.classes)
        return tuple(np.repeat(array[None], count, axis=0) for array in arrays)

    @property
    def array_count(self) -> int:
        return 3 if self.is_matched and self.probabilities is not None else 2

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return self.detection_names

    def check_outputs(self, shape: Shape | None) -> None:
        if not self.is_matched and (shape is None or len(shape) != 3):
            raise _not_a_detector()

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        first, classes = arrays[:2]
        if self.is_matched:
            probabilities = arrays[2] if self.probabilities is not None else None
            return TargetScores(_matched_scores(first, classes, probabilities, all_outputs, xp), classes)
        rows, columns = outputs.shape[1:]
        flat = xp.reshape(outputs, (-1, rows * columns))
        positions = first[..., 0] * columns + first[..., 1]
        return TargetScores(xp.take_along_axis(flat, positions, axis=-1), classes)


def _matched_scores(boxes: Tensor, classes: Tensor, probabilities: Tensor | None, found: Any, xp: Namespace) -> Tensor:
    """Return the scores (N, T): the largest similarity to each detection among what was found."""
    wanted, given = boxes[:, :, None], found["boxes"][:, None]  # (N, T, 1, 4) and (N, 1, D, 4)
    low, high = xp.maximum(wanted[..., :2], given[..., :2]), xp.minimum(wanted[..., 2:], given[..., 2:])
    shared = _areas(low, high, xp)
    union = _areas(wanted[..., :2], wanted[..., 2:], xp) + _areas(given[..., :2], given[..., 2:], xp) - shared
    overlaps = shared / xp.where(union > 0, union, xp.ones_like(union))  # two boxes without an area share nothing
    if probabilities is None:
        is_class = found["labels"][:, None] == classes[:, :, None]
        same = found["scores"][:, None] * xp.ones_like(overlaps)
        return xp.max(overlaps * xp.where(is_class, same, xp.zeros_like(same)), axis=-1)
    candidates = found["probabilities"]
    cosines = xp.matmul(_of_length_1(probabilities, xp), xp.permute_dims(_of_length_1(candidates, xp), (0, 2, 1)))
    if "objectness" in found:
        objectness = found["objectness"][:, None]
    else:  # (N, T, D), the probability of each target's class
        indices = classes[:, :, None] + xp.zeros_like(found["labels"])[:, None]
        objectness = xp.take_along_axis(xp.permute_dims(candidates, (0, 2, 1)), indices, axis=1)
    return xp.max(overlaps * cosines * objectness, axis=-1)


def _areas(low: Tensor, high: Tensor, xp: Namespace) -> Tensor:
    """Return the areas of boxes; 0 for those whose corners are in another order."""
    extents = xp.where(high > low, high - low, xp.zeros_like(high))
    return extents[..., 0] * extents[..., 1]


def _of_length_1(vectors: Tensor, xp: Namespace) -> Tensor:
    """Return vectors (..., C) divided by their lengths; those of length 0 remain 0."""
    return vectors / xp.sqrt(xp.sum(vectors * vectors, axis=-1, keepdims=True) + TINY)


def _checked_box(box: Any) -> tuple[float, float, float, float]:
    try:
        numbers = [float(edge) for edge in box]
    except (TypeError, ValueError):
        numbers = []
    is_box = len(numbers) == 4 and all(map(np.isfinite, numbers))
    if not is_box or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise TargetError(
            f"The box of a Detection is (left, top, right, bottom) in pixels, with left < right and top < bottom; "
            f"given {short_repr(box)}."
        )
    return (numbers[0], numbers[1], numbers[2], numbers[3])


def _not_a_detector() -> TargetError:
    return TargetError(
        "A Detection needs a detector: a model of torchvision.models.detection, one of Hugging Face's "
        "...ForObjectDetection, a YOLO of ultralytics, or a PyTorch module that returns a list with a dict of boxes, "
        "labels and scores for each image. For a classifier, give a class."
    )
