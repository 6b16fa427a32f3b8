"""Explaining volumes, signals and videos."""

from collections.abc import Iterator, Sequence
from typing import Any

from seewhy.attribution.added_tokens import warn_of_added_tokens
from seewhy.models.recording_inputs import recording_inputs
from seewhy.pipeline.heatmap_pipeline import HeatmapPipeline
from seewhy.recordings.find_reader import read_recording
from seewhy.results.explanation_builder import build_recording_explanation
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.targets import Target


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
        heatmaps = pipeline.heatmaps(values, target.slice_images(row, row + 1), batch_size)
        method = pipeline.method_for(heatmaps)
        if recording.axes == 1:
            calls = pipeline.framework.calls(pipeline.check_inputs(values))
            warn_of_added_tokens(calls, heatmaps.layer, recording.noun)
        yield build_recording_explanation(heatmaps, recording, placement, pipeline.classifier, method)
