"""Detections of a detector: which of them a target means, and the layer that shows each.

The model runs once to see what it detects. The detections are fixed then, so that gradients and perturbations explain
the same ones. Each image is explained alone, for its detections, and their layers, are its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from seewhy.attribution.attribute import Attribution, attribute
from seewhy.attribution.augmentation import Augmentation
from seewhy.attribution.auto_layer import choice_of
from seewhy.attribution.layer_capture import trust_layer
from seewhy.attribution.own_image import OwnImage
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, ModelError, ModelRunError, NotPredictedError, OptionError, TargetError, warn
from seewhy.frameworks import LayerCall, LayerChoice
from seewhy.frameworks.detections import Box, DetectedBox, DetectorRunner, overlap
from seewhy.frameworks.structures import InputBatch
from seewhy.images.geometry import InputBox, Placement
from seewhy.models import Classifier
from seewhy.targets import Class, Combined, Detection, Objective, PerImage, Target, TopK
from seewhy.targets.detection import FixedDetections
from seewhy.types import FloatArray, Score

LEAST_SCORE = 0.05
"""Detections below this score are not looked for by class or place: detectors return any number of them."""

LEAST_COVER = 0.75
"""How much of a detection's box the positions that reach its score must cover, in a layer that "auto" takes."""


LEAST_CELLS = 5
"""How many cells of such a layer must lie along the shorter side of the box: a peak in larger cells, whose centres are
far apart, easily lies beside the box."""


@final
@dataclass(frozen=True)
class ImageDetections:
    """What a detector found in one image.

    Attributes:
        found: The detections, the surest first.
        name: How messages call the image.
        classifier: Knows the names of the classes.
        size: (h, w) of the model's input, in pixels.
        own: The image, if it is explained for itself: "top-k" is then at most k.
    """

    found: Sequence[DetectedBox]
    name: str
    classifier: Classifier
    size: tuple[int, int]
    own: OwnImage | None = None

    def __post_init__(self) -> None:
        names, highest = self.classifier.class_names, max((found.class_ for found in self.found), default=0)
        if names is not None and highest >= len(names):
            raise ModelError(
                f"The classifier has {len(names)} class names, and the model {self.classifier.name!r} detects class "
                f"{highest}. Give a name for each class, from class 0 on, which may be the background: "
                "class_names=[...]."
            )

    @property
    def image(self) -> str:
        """How messages call the image."""
        return self.name if self.own is None else self.own.name

    def chosen(self, target: Target) -> list[DetectedBox]:
        """Return the detections that a target means.

        Raises:
            NotPredictedError: There is no such detection.
            TargetError: The target is of another kind.
        """
        if isinstance(target, Combined):
            return [detection for part in target.parts for detection in self.chosen(part)]
        if not self.found:
            raise NotPredictedError(
                f"The detector finds nothing in {self.image}: there is no detection to explain. Give another image, or "
                "a detector with a lower score threshold."
            )
        if isinstance(target, TopK):
            return self._surest(target.k)
        if isinstance(target, Class):
            return [self._wanted(Detection(class_=int(index))) for index in np.ravel(target.classes)]
        if isinstance(target, Detection):
            return [self._wanted(target)]
        raise TargetError(
            f"The target {target!r} cannot be mixed with detections. Give it alone, or classes and "
            "seewhy.targets.Detection objects."
        )

    def _surest(self, k: int) -> list[DetectedBox]:
        if len(self.found) < k and self.own is None:
            raise NotPredictedError(
                f"'top-{k}' selects more detections than there are in {self.image}: {self._text()}. Ask for fewer; or "
                "explain images, of which each may have another number of them."
            )
        if self.found[0].score < LEAST_SCORE:
            warn(f"The detector is sure of nothing in {self.image}: its surest detection is {self._text(1)}.")
        return list(self.found[:k])

    def _wanted(self, target: Detection) -> DetectedBox:
        class_, box = target.class_, target.box
        matching = [
            found for found in self.found if found.score >= LEAST_SCORE and (class_ is None or found.class_ == class_)
        ]
        if box is not None:
            matching = sorted(
                (found for found in matching if overlap(found.box, box)), key=lambda f: -overlap(f.box, box)
            )
        if len(matching) >= target.rank:
            return matching[target.rank - 1]
        of_class = "" if class_ is None else f" of class {self.classifier.class_name(int(class_))!r}"
        there = "" if box is None else f" that overlaps the box ({self._corners(box)})"
        missing = "no detection" if not matching else f"no detection {target.rank}"
        raise NotPredictedError(
            f"There is {missing}{of_class} above {LEAST_SCORE}{there} in {self.image}; found: {self._text()}."
        )

    def _text(self, count: int = 5) -> str:
        """Return the surest detections, such as "cat 0.92 at (12, 40, 180, 220)"."""
        return ", ".join(
            f"{self.classifier.class_name(found.class_)} {found.score:.2g} at ({self._corners(found.box)})"
            for found in self.found[:count]
        )

    def _corners(self, box: Box) -> str:
        """Return a box as targets give it: in pixels of the image or, of an input without one, of the input."""
        if self.own is not None:
            (top, left, bottom, right), (height, width) = self.own.placement.box, self.size
            starts, scales = (left, top) * 2, ((right - left) / width, (bottom - top) / height) * 2
            shares = zip(box, starts, scales, strict=True)
            first, second, third, fourth = (start + edge * scale for edge, start, scale in shares)
            box = (first, second, third, fourth)
        return ", ".join(f"{edge:.0f}" for edge in box)


def check_detection_options(score: Score, output: int | str | None, augmentations: Sequence[Augmentation]) -> None:
    """Raise OptionError for settings of an explainer that have no meaning for the detections of a detector."""
    if score != "logit":
        raise OptionError(
            f"score={score!r} is for class scores, and the score of a detection is its class logit. Use 'logit'."
        )
    if output is not None:
        raise OptionError(
            f"output={output!r} selects one output, and the model is a detector, whose detections are read from all of "
            "them. Leave it out."
        )
    if augmentations:
        raise OptionError(
            "augmentation= flips and zooms the image, where a detector has other candidates: its detections cannot be "
            "averaged over them. Leave it out."
        )


def looks_for_detections(target: Target) -> bool:
    """Whether a target is, or contains, a detection to look for."""
    if isinstance(target, (Combined, PerImage)):
        parts = target.parts if isinstance(target, Combined) else target.targets
        return any(looks_for_detections(part) for part in parts)
    return isinstance(target, Detection)


def boxes_on_inputs(target: Target, placements: Sequence[Placement], size: tuple[int, int]) -> Target:
    """Return a target for the model's inputs, from one whose boxes are in pixels of the images.

    Args:
        target: For all images.
        placements: Where the input lies on each image.
        size: (h, w) of the inputs, in pixels.
    """
    return PerImage(
        tuple(_on_input(target.for_image(image), placement, size) for image, placement in enumerate(placements))
    )


def _on_input(target: Target, placement: Placement, size: tuple[int, int]) -> Target:
    if isinstance(target, Combined):
        return Combined(tuple(_on_input(part, placement, size) for part in target.parts))
    if not isinstance(target, Detection) or target.box is None:
        return target
    (top, left, bottom, right), (height, width) = placement.box, size
    scales = (width / (right - left), height / (bottom - top)) * 2
    first, second, third, fourth = (
        (edge - start) * scale for edge, start, scale in zip(target.box, (left, top) * 2, scales, strict=True)
    )
    return replace(target, box=(first, second, third, fourth))


def fix_detections(
    detector: DetectorRunner, found: ImageDetections, inputs: InputBatch, target: Target, *, is_matched: bool
) -> FixedDetections:
    """Return the detections of one image that a target means.

    Args:
        detector: Runs the model.
        found: What it found in the image.
        inputs: The image, checked by `Framework.check_inputs`.
        target: Classes, or detections that are looked for.
        is_matched: Whether detections are matched in every run, for perturbations of the image.

    Raises:
        ModelRunError: It has no finite score or box.
        NotPredictedError: There is no such detection.
        TargetError: The target is of another kind.
    """
    chosen = found.chosen(target)
    for each in chosen:
        if not np.isfinite([each.score, *each.box]).all():
            raise ModelRunError(
                f"The detector returned a detection in {found.image} whose score or box is not finite: score "
                f"{each.score:.2g}, box {each.box}. Its weights may be damaged, or its arithmetic too narrow (float16)."
            )
    entries = detector.class_logit_entries(inputs, [each.number for each in chosen])
    return FixedDetections(
        np.array(entries, dtype=np.int32),
        np.array([each.box for each in chosen], dtype=np.float32),
        np.array([each.class_ for each in chosen], dtype=np.int32),
        detection_names([(found.classifier.class_name(each.class_), each.number) for each in chosen]),
        np.array([each.score for each in chosen], dtype=np.float32),
        is_matched,
        _probabilities(chosen) if is_matched else None,
    )


def _probabilities(chosen: Sequence[DetectedBox]) -> FloatArray | None:
    """Return the class probabilities (T, C) of detections; None where the detector does not give them."""
    known = [found.probabilities for found in chosen if found.probabilities is not None]
    return np.stack(known).astype(np.float32) if known else None


def detection_names(detections: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Return the names of detections, numbered where several have one: "dog (1)" and "dog (2)".

    Args:
        detections: The name of the class of each, and its number, which is the same for the same detection.
    """
    different: dict[str, list[int]] = {}
    for name, number in detections:
        of_name = different.setdefault(name, [])
        if number not in of_name:
            of_name.append(number)
    return tuple(
        name if len(different[name]) == 1 else f"{name} ({different[name].index(number) + 1})"
        for name, number in detections
    )


def attribute_detections(
    plan: Plan, detector: DetectorRunner, inputs: InputBatch, objective: Objective
) -> Iterator[tuple[Attribution, Objective, list[int]]]:
    """Yield raw heatmaps of the detections of one image, together for those that are explained at one layer.

    Args:
        plan: Made for detections.
        detector: Runs the model.
        inputs: One image.
        objective: The scores of `FixedDetections`.

    Yields:
        Raw heatmaps, the objective that they explain, and the positions of its detections among all of the target's.

    Raises:
        LayerError: No layer with rows and columns carries a score.
    """
    target = _fixed(objective)
    layers = [plan.layers] * len(target.classes)
    if plan.method.reads_layer and any(layer.is_auto for layer in plan.layers):
        layers = [(layer,) for layer in detection_layers(plan, detector, inputs, objective)]
    for chosen in dict.fromkeys(layers):
        positions = [position for position, own in enumerate(layers) if own == chosen]
        for layer in chosen:
            trust_layer(plan, layer, inputs, objective)
        part = replace(objective, target=target.at(positions))
        yield attribute(replace(plan, layers=chosen), inputs, part), part, positions


def detection_layers(
    plan: Plan, detector: DetectorRunner, inputs: InputBatch, objective: Objective
) -> list[LayerChoice]:
    """Return the layer that "auto" explains for each detection of one image.

    It is the last layer that all of the detection's score passes, and whose positions that reach the score cover the
    detection's box. After it each position sees less than the box, and could not show which part of it counted; before
    it positions know less about the class. In a feature pyramid it lies on the level that found the detection.

    Args:
        plan: Has the framework.
        detector: Runs the model.
        inputs: One image.
        objective: The class logits of `FixedDetections`.

    Raises:
        LayerError: No layer with rows and columns carries a score.
    """
    target = _fixed(objective)
    height, width = plan.framework.image_size(inputs)
    shares = target.boxes / np.array([width, height, width, height], dtype=np.float32)
    layers = []
    for name, box, reaches in zip(
        target.detection_names, shares, detector.detection_reaches(inputs, objective), strict=True
    ):
        layer = _last_suited(plan, inputs, np.clip(box, 0, 1), reaches)
        if layer is None:
            raise LayerError(
                f"No layer with rows and columns carries all of the score of the detection {name!r}. Name a layer."
            )
        layers.append(layer)
    return layers


def _fixed(objective: Objective) -> FixedDetections:
    assert isinstance(objective.target, FixedDetections)  # noqa: S101  # the caller fixed them
    return objective.target


def _last_suited(
    plan: Plan, inputs: InputBatch, box: FloatArray, reaches: Mapping[tuple[str, int], InputBox]
) -> LayerChoice | None:
    """Return the last call whose reach covers the box, in cells that are small enough; None if there is no call."""
    carrying = [call for call in plan.framework.calls(inputs) if call.is_candidate]
    calls = [call for call in carrying if (call.path, call.execution) in reaches]
    if not calls:
        return None
    covers = [_cover(box, reaches[call.path, call.execution]) for call in calls]
    covering = [call for call, cover in zip(calls, covers, strict=True) if cover >= min(LEAST_COVER, max(covers))]
    cells = [_cells(box, call) for call in covering]
    fine = [call for call, count in zip(covering, cells, strict=True) if count >= min(LEAST_CELLS, max(cells))]
    return choice_of(plan, inputs, fine[-1])


def _cells(box: FloatArray, call: LayerCall) -> float:
    """Return how many cells of a layer lie along the shorter side of a box, which is given in shares."""
    left, top, right, bottom = map(float, box)
    rows, columns = (call.shape or (0, 0))[:2]
    return min((bottom - top) * (rows or 0), (right - left) * (columns or 0))


def _cover(box: FloatArray, reach: InputBox) -> float:
    """Return the share of a box (left, top, right, bottom) that the box of a reach covers."""
    left, top, right, bottom = map(float, box)
    height = min(bottom, reach[2]) - max(top, reach[0])
    width = min(right, reach[3]) - max(left, reach[1])
    area = (right - left) * (bottom - top)
    return max(height, 0.0) * max(width, 0.0) / area if area > 0 else 1.0
