"""The contents of an explanation's files: its arrays (`.npz`), and everything else (`.json`)."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from seewhy.results.explanation import Explanation


def explanation_facts(explanation: "Explanation", predictions: int) -> dict[str, Any]:
    """Return everything but the arrays, ready for JSON, with this number of the most probable predictions."""
    return {
        "image": explanation.source,
        "predictions": [
            {"index": row.index, "wnid": _wnid(explanation, row.index), **row._asdict()}
            for row in explanation.predictions[:predictions]
        ],
        "targets": [vars(target) for target in explanation.targets],
        "model": explanation.model,
        "layer": explanation.layer,
        "method": explanation.method,
    }


def explanation_arrays(explanation: "Explanation") -> dict[str, Any]:
    """Return the heatmaps, what they explain, and where they lie on the image."""
    return {
        "heatmaps": explanation.heatmaps,
        "indices": np.array([target.index for target in explanation.targets]),
        "names": np.array([target.name for target in explanation.targets]),
        "scores": np.array([target.score for target in explanation.targets], dtype=np.float32),
        "image_size": np.array(explanation.placement.image_size),
        "box": np.array(explanation.placement.box),
    }


def _wnid(explanation: "Explanation", index: int) -> str | None:
    return explanation.ids[index] if explanation.ids is not None else None
