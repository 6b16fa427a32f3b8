"""The contents of an explanation's files: its arrays (`.npz`), and everything else (`.json`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seewhy.viewer.explanation_like import ExplanationLike


def explanation_facts(explanation: ExplanationLike, ids: Sequence[str] | None, predictions: int) -> dict[str, Any]:
    """Return everything but the arrays, ready for JSON, with this number of the most probable predictions."""
    return {
        "image": explanation.source,
        "predictions": [
            {"index": row.index, "wnid": None if ids is None else ids[row.index], **row._asdict()}
            for row in explanation.predictions[:predictions]
        ],
        "targets": [_target_facts(target) for target in explanation.targets],
        "model": explanation.model,
        "layer": explanation.layer,
        "method": explanation.method,
    }


def _target_facts(target: Any) -> dict[str, Any]:
    """Return what is said of a target; the box only of a detection."""
    return {key: value for key, value in vars(target).items() if key != "box" or value is not None}


def explanation_arrays(explanation: ExplanationLike) -> dict[str, Any]:
    """Return the heatmaps, what they explain, and where they lie on the image."""
    return {
        "heatmaps": explanation.heatmaps,
        "indices": np.array([target.index for target in explanation.targets]),
        "names": np.array([target.name for target in explanation.targets]),
        "scores": np.array([target.score for target in explanation.targets], dtype=np.float32),
        "image_size": np.array(explanation.placement.image_size),
        "box": np.array(explanation.placement.heatmap_box),
    }
