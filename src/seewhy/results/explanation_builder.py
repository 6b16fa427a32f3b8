"""Make the explanation of one image, volume, signal or video from the heatmaps of its batch."""

import os
from typing import Any

from seewhy.errors import LayerError
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike
from seewhy.methods import Method
from seewhy.models import Classifier, ClassNames
from seewhy.recordings.grid_placement import GridPlacement
from seewhy.recordings.recording import Recording, Signal, Video, Volume
from seewhy.representation import ShortTuple
from seewhy.results.explanation import Explanation
from seewhy.results.heatmaps import Heatmaps
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.results.signal_explanation import SignalExplanation
from seewhy.results.target_result import target_results
from seewhy.results.video_explanation import VideoExplanation
from seewhy.results.volume_explanation import VolumeExplanation
from seewhy.types import ImageArray


def build_explanation(
    heatmaps: Heatmaps,
    row: int,
    image: ImageLike,
    pixels: ImageArray,
    placement: Placement,
    classifier: Classifier,
    method: Method,
) -> Explanation:
    """Return the explanation of one image of a batch.

    Args:
        heatmaps: The heatmaps of the batch.
        row: The image's position in the batch.
        image: What the caller gave.
        pixels: The decoded image, uint8 (H, W, 3).
        placement: Where on the image the model's input lies.
        classifier: Knows the classes.
        method: The method that was used.

    Raises:
        LayerError: The heatmaps do not have two spatial axes.
    """
    if heatmaps.values.ndim != 4:
        raise LayerError(
            f"The output of the layer {heatmaps.layer!r} has {heatmaps.values.ndim - 2} spatial axes, and an image has "
            "two. Give another layer; for signals and volumes give a seewhy.Signal or a seewhy.Volume."
        )
    return Explanation(
        image=pixels,
        placement=placement.with_input_box(heatmaps.input_box),
        source=os.fspath(image) if isinstance(image, (str, os.PathLike)) else None,
        **_explained(heatmaps, row, placement, classifier, method),
    )


def build_recording_explanation(
    heatmaps: Heatmaps, recording: Recording, placement: GridPlacement, classifier: Classifier, method: Method
) -> RecordingExplanation:
    """Return the explanation of one volume, signal or video.

    Args:
        heatmaps: Its heatmaps, of a batch of one.
        recording: What was explained.
        placement: Where on it the model's input lies.
        classifier: Knows the classes.
        method: The method that was used.
    """
    kind, own = EXPLANATIONS[type(recording)]
    explained = _explained(heatmaps, 0, None, classifier, method)
    explanation: RecordingExplanation = kind(
        **{own: recording}, placement=placement, source=recording.source, **explained
    )
    return explanation


EXPLANATIONS: dict[type[Recording], tuple[Any, str]] = {
    Volume: (VolumeExplanation, "volume"),
    Signal: (SignalExplanation, "signal"),
    Video: (VideoExplanation, "video"),
}
"""The explanation of each kind of recording, and its attribute that holds the recording."""


def _explained(
    heatmaps: Heatmaps, row: int, placement: Placement | None, classifier: Classifier, method: Method
) -> dict[str, Any]:
    """Return the attributes that the explanations of images and of recordings share."""
    targets, class_names = target_results(heatmaps, row, placement), classifier.class_names
    return {
        "heatmaps": heatmaps.values[row],
        "targets": targets,
        "predictions": () if heatmaps.probabilities is None else classifier.rank(heatmaps.probabilities[row]),
        "layer": heatmaps.layer,
        "method": heatmaps.method,
        "title": method.title,
        "peak_quantile": method.peak_quantile,
        "ids": None if class_names is None else class_names.ids,
        "aliases": () if class_names is None else ShortTuple(_names(class_names, target.index) for target in targets),
        "model": classifier.name,
        "method_reason": heatmaps.method_reason,
    }


def _names(class_names: ClassNames, index: int) -> tuple[str, ...]:
    return () if index < 0 else class_names.all_names(index)
