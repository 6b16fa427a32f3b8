"""One target of one image, and finding it among the targets of an explanation."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from seewhy.errors import OptionError, did_you_mean, short_repr
from seewhy.images.geometry import Placement
from seewhy.models.class_names import fold_name
from seewhy.representation import ShortRepr, ShortTuple, listed
from seewhy.results.heatmaps import Heatmaps
from seewhy.types import FloatArray

TargetRef = int | str
"""One of an explanation's targets: its position, or a name of its class."""


@final
@dataclass(frozen=True, repr=False)
class TargetResult(ShortRepr):
    """One target of one image.

    Attributes:
        index: The class; -1 for a target that is not a class.
        name: The class's name; for another target its description, such as "cat rather than dog", or "target 1".
        score: What was explained: a logit, or a probability with `score="probability"`.
        probability: In 0..1; of a detection, how sure the detector is. None for a target that is not a class.
        has_evidence: False if the image holds no evidence for the target: its heatmap has no positive value.
        box: (left, top, right, bottom) of a detection, in pixels of the image; None for any other target.
        check: What `seewhy.evaluate.check` says of the heatmap, in words; empty where it was not asked.
    """

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool
    check: str = ""
    box: tuple[float, float, float, float] | None = None


def target_results(heatmaps: Heatmaps, row: int, placement: Placement | None) -> tuple[TargetResult, ...]:
    """Return the results of all targets of one image of a batch, whose input lies on the image as a placement says.

    Without a placement, of volumes, signals and videos, targets have no boxes.
    """
    has_evidence = heatmaps.has_evidence[row]
    return ShortTuple(
        TargetResult(
            index=int(index),
            name=heatmaps.names[row][position],
            score=float(heatmaps.scores[row, position]),
            probability=_probability(heatmaps, row, position),
            has_evidence=bool(has_evidence[position]),
            box=None
            if heatmaps.boxes is None or placement is None
            else _on_image(heatmaps.boxes[row, position], placement),
        )
        for position, index in enumerate(heatmaps.indices[row])
    )


def _probability(heatmaps: Heatmaps, row: int, position: int) -> float | None:
    if heatmaps.detection_scores is not None:
        return float(heatmaps.detection_scores[row, position])
    index = heatmaps.indices[row, position]
    return None if index < 0 or heatmaps.probabilities is None else float(heatmaps.probabilities[row][index])


def _on_image(shares: FloatArray, placement: Placement) -> tuple[float, float, float, float]:
    """Return a box, given in shares of the input's width and height, in pixels of the image."""
    top, left, bottom, right = placement.box
    first, second, third, fourth = map(float, shares)
    width, height = right - left, bottom - top
    return (left + first * width, top + second * height, left + third * width, top + fourth * height)


def on_resized_image(target: TargetResult, rows: float, columns: float) -> TargetResult:
    """Return a target as it is on a copy of the image with so many times the rows and columns."""
    if target.box is None:
        return target
    left, top, right, bottom = target.box
    return replace(target, box=(left * columns, top * rows, right * columns, bottom * rows))


def find_target(wanted: Any, targets: Sequence[TargetResult], aliases: Sequence[Sequence[str]] = ()) -> int:
    """Return the position of a target.

    Args:
        wanted: Its position; or its name, or another name of its class: case, "_" and "-" are ignored.
        targets: The targets of an explanation.
        aliases: The other names of each; empty where they are unknown.

    Raises:
        OptionError: There is no such target, or several have that name.
    """
    if isinstance(wanted, str):
        return _find_by_name(wanted, targets, aliases)
    is_whole = isinstance(wanted, numbers.Integral) and not isinstance(wanted, bool)
    if is_whole and 0 <= wanted < len(targets):
        return int(wanted)
    same_class = [position for position, target in enumerate(targets) if is_whole and target.index == wanted >= 0]
    hint = f" Class {wanted} is target {same_class[0]}." if same_class else ""
    raise OptionError(
        f"There is no target {short_repr(wanted)}: the explanation has targets 0 to {len(targets) - 1} "
        f"({listed([target.name for target in targets])}).{hint} Give a position or a name."
    )


def _find_by_name(wanted: str, targets: Sequence[TargetResult], aliases: Sequence[Sequence[str]]) -> int:
    folded = fold_name(wanted)
    names = [{fold_name(target.name)} for target in targets]
    found = [position for position, own in enumerate(names) if folded in own]
    if not found and aliases:
        names = [own | set(map(fold_name, each)) for own, each in zip(names, aliases, strict=True)]
        found = [position for position, own in enumerate(names) if folded in own]
    if not found:
        parts = {fold_name(part) for part in wanted.split(",")} - {""}  # "tabby, tabby cat", several names of one class
        found = [position for position, own in enumerate(names) if parts and parts <= own]
    if not found:
        suggestion = did_you_mean(folded, {name for own in names for name in own})
        raise OptionError(
            f"There is no target {short_repr(wanted)}: the explanation has targets 0 to {len(targets) - 1} "
            f"({listed([target.name for target in targets])}).{suggestion} To explain other classes, give targets=."
        )
    if len({targets[position].index for position in found}) > 1 or targets[found[0]].index < 0 < len(found) - 1:
        raise OptionError(
            f"{short_repr(wanted)} is the name of the targets {', '.join(map(str, found))}. Give the position of one."
        )
    return found[0]
