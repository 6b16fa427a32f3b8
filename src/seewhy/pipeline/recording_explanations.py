"""Explaining volumes, signals and videos."""

from collections.abc import Iterator, Sequence
from typing import Any

from seewhy.attribution.added_tokens import warn_of_added_tokens
from seewhy.errors import LayerError, ModelRunError
from seewhy.models.recording_inputs import check_convolutions, recording_inputs
from seewhy.pipeline.heatmap_pipeline import HeatmapPipeline
from seewhy.recordings.find_reader import read_recording
from seewhy.recordings.recording import Recording
from seewhy.results.explanation_builder import build_recording_explanation
from seewhy.results.heatmaps import Heatmaps
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.targets import Target

MAX_NAMED = 3
"""How many layers a message names."""


def explain_recordings(
    pipeline: HeatmapPipeline, recordings: Sequence[Any], target: Target, batch_size: int
) -> Iterator[RecordingExplanation]:
    """Explain volumes, signals or videos one by one: each has its size, and may take much memory.

    Args:
        pipeline: Explains the model.
        recordings: What was given: recordings, or the paths of their files.
        target: What is explained.
        batch_size: How many perturbations of a recording run at once.
    """
    for row, source in enumerate(recordings):
        recording = read_recording(source, pipeline.framework.spatial_axes())
        values, placement = recording_inputs(pipeline.classifier, recording)
        try:
            heatmaps = pipeline.heatmaps(values, target.slice_images(row, row + 1), batch_size)
        except ModelRunError as error:
            check_convolutions(pipeline.classifier, recording, error)
            raise
        _check_axes(pipeline, values, heatmaps, recording)
        method = pipeline.method_for(heatmaps)
        if recording.axes == 1:
            calls = pipeline.framework.calls(pipeline.check_inputs(values))
            warn_of_added_tokens(calls, heatmaps.layer, recording.noun)
        yield build_recording_explanation(heatmaps, recording, placement, pipeline.classifier, method)


def _check_axes(pipeline: HeatmapPipeline, values: Any, heatmaps: Heatmaps, recording: Recording) -> None:
    """Raise LayerError, with layers that suit, if the heatmaps do not have the axes of the recording."""
    axes, space = recording.axes, heatmaps.values.shape[2:]
    if len(space) == axes:
        return
    found = f"{len(space)} spatial {'axis' if len(space) == 1 else 'axes'}"
    reason = f"The output of the layer {heatmaps.layer!r} has {found}, and a {recording.noun} has {axes}"
    if len(space) == 1 and axes == 3:
        reason += (
            f": {space[0]} tokens of a transformer, or features, are not laid on "
            f"{'frames' if recording.noun == 'video' else 'slices'}, rows and columns"
        )
    calls = pipeline.framework.calls(pipeline.check_inputs(values))
    suitable = [call for call in calls if call.is_candidate and len(call.shape or ()) == axes + 1]
    paths = list(dict.fromkeys(call.path for call in suitable if not call.kind.startswith("Dropout")))
    advice = f"No layer of the model has {axes}."
    if paths:
        names = " or ".join(f"layer={path!r}" for path in paths[-MAX_NAMED:])
        advice = f"Give a layer with {axes}, such as {names}."
    raise LayerError(
        f"{reason}. {advice} Or explain arrays: Explainer.heatmaps returns the heatmaps {heatmaps.values.shape}, which "
        "you lay on the axes yourself."
    )
