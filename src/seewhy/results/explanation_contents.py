"""The contents of an explanation's files: its arrays (`.npz`), and everything else (`.json`)."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from seewhy.models import Prediction
from seewhy.types import FloatArray
from seewhy.viewer.explanation_like import ExplanationLike, TargetLike


class Explained(Protocol):
    """What files say of an explanation, of an image or of another input."""

    @property
    def heatmaps(self) -> FloatArray:
        """The raw heatmaps, float32 (T, *space)."""

    @property
    def targets(self) -> Sequence[TargetLike]:
        """The T targets, in the order of the heatmaps."""

    @property
    def predictions(self) -> Sequence[Prediction]:
        """Every class, most probable first."""

    @property
    def layer(self) -> str:
        """The path of the explained layer."""

    @property
    def method(self) -> str:
        """The name of the method."""

    @property
    def model(self) -> str | None:
        """The name of the model, if it has one."""

    @property
    def source(self) -> str | None:
        """The path that was read, if a file was."""


def explanation_facts(
    explanation: Explained, ids: Sequence[str] | None, predictions: int, noun: str = "image"
) -> dict[str, Any]:
    """Return everything but the arrays, ready for JSON.

    Args:
        explanation: The explanation.
        ids: The wnid of each class, where known.
        predictions: How many of the most probable predictions are said.
        noun: What was explained, which is the key of its path.
    """
    return {
        noun: explanation.source,
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
        **target_arrays(explanation),
        "image_size": np.array(explanation.placement.image_size),
        "box": np.array(explanation.placement.heatmap_box),
    }


def target_arrays(explanation: Explained) -> dict[str, Any]:
    """Return the heatmaps and what they explain."""
    return {
        "heatmaps": explanation.heatmaps,
        "indices": np.array([target.index for target in explanation.targets]),
        "names": np.array([target.name for target in explanation.targets]),
        "scores": np.array([target.score for target in explanation.targets], dtype=np.float32),
    }
