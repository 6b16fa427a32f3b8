"""One target of one image."""

from dataclasses import dataclass
from typing import final

from seewhy.representation import ShortRepr
from seewhy.results.heatmaps import Heatmaps


@final
@dataclass(frozen=True, repr=False)
class TargetResult(ShortRepr):
    """One target of one image.

    Attributes:
        index: The class; -1 for a target that is not a class.
        name: The class's name; for another target its description, such as "cat rather than dog", or "target 1".
        score: What was explained: a logit, or a probability with `score="probability"`.
        probability: In 0..1; None for a target that is not a class.
        has_evidence: False if the image holds no evidence for the target: its heatmap has no positive value.
    """

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool


def target_results(heatmaps: Heatmaps, row: int) -> tuple[TargetResult, ...]:
    """Return the results of all targets of one image of a batch."""
    has_evidence = heatmaps.has_evidence[row]
    probabilities = None if heatmaps.probabilities is None else heatmaps.probabilities[row]
    return tuple(
        TargetResult(
            index=int(index),
            name=heatmaps.names[row][position],
            score=float(heatmaps.scores[row, position]),
            probability=float(probabilities[index]) if index >= 0 and probabilities is not None else None,
            has_evidence=bool(has_evidence[position]),
        )
        for position, index in enumerate(heatmaps.indices[row])
    )
