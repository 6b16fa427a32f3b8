"""What is said of a layer whose heatmap would not show where the score comes from."""

from collections.abc import Sequence

from seewhy.attribution.auto_layer import Trial
from seewhy.attribution.layer_evidence import LayerEvidence
from seewhy.errors import LayerError, warn

MAX_LISTED = 4
"""How many of the layers that "auto" tried an error lists."""


def faults(evidence: LayerEvidence, layer: str) -> list[str]:
    """Return what is wrong with a layer, in sentences."""
    found = []
    if evidence.reach is not None and not evidence.is_reached:
        found.append(
            f"Only {evidence.reach.count} of the image's {evidence.reach.reached.shape[1]} positions of the layer "
            f"{layer!r} reach the score, the same in every image, as where a class token or the last step alone is "
            "read. The heatmap shows nothing about the others: their gradient is always 0."
        )
    if evidence.bypass is not None and not evidence.carries_score:
        found.append(
            f"{evidence.bypass:.0%} of the difference between the scores of two images bypasses the layer {layer!r}, "
            "as through a skip connection, a class token or another branch. The heatmap shows only what passes through "
            "the layer."
        )
    if evidence.axes is not None and not evidence.is_image:
        found.append(
            f"The axes of the layer {layer!r} are not those of the image: {evidence.axes.fault}. The heatmap lies at "
            "the wrong places."
        )
    return found


def warn_of_named(evidence: LayerEvidence, layer: str, better: str | None) -> None:
    """Warn of a layer that the caller named, and say which one to name."""
    advice = "Name another layer; layer='auto' looks for one without that fault."
    if better is not None:
        advice = f"Name {better!r} instead."
    for fault in faults(evidence, layer):
        warn(f"{fault} {advice}")


def warn_of_auto(evidence: LayerEvidence, layer: str) -> None:
    """Warn of the layer that "auto" takes because there is no better one."""
    for fault in faults(evidence, layer):
        warn(f"{fault} layer='auto' found no other layer that carries more. Name the layer to explain.")


def no_layer(trials: Sequence[Trial]) -> LayerError:
    """Return the error for a model of which the evidence supports no layer."""
    listed = "; ".join(f"{trial.layer} ({_briefly(trial)})" for trial in trials[:MAX_LISTED])
    more = f"; and {len(trials) - MAX_LISTED} more" if len(trials) > MAX_LISTED else ""
    return LayerError(
        "layer='auto' found no layer whose positions reach the score, that carries it, and whose axes are those of the "
        f"image, so a heatmap would be misleading. Tried, from the last one: {listed}{more}. 'seewhy layers MODEL "
        "--check' judges every layer. A layer that you name is explained in any case, with a warning."
    )


def _briefly(trial: Trial) -> str:
    evidence = trial.evidence
    if evidence is None:
        return trial.obstacle
    parts = []
    if evidence.reach is not None and not evidence.is_reached:
        parts.append(f"{evidence.reach.count} of {evidence.reach.reached.shape[1]} positions reach the score")
    if evidence.bypass is not None and not evidence.carries_score:
        parts.append(f"{evidence.bypass:.0%} bypasses it")
    if evidence.axes is not None and not evidence.is_image:
        parts.append(evidence.axes.fault)
    return ", ".join(parts)
