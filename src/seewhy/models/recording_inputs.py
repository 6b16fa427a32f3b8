"""Turn a volume, a signal or a video into a model's input, and record where the input lies on it."""

import dataclasses
from typing import NamedTuple

import numpy as np

from seewhy import timing
from seewhy.errors import ModelError, ModelRunError, RecordingError, warn
from seewhy.interpolation import averaging_weights
from seewhy.models.classifier import Classifier
from seewhy.models.input_size import KINDS
from seewhy.models.preprocessing import Preprocessing
from seewhy.recordings.grid_placement import GridPlacement, whole
from seewhy.recordings.recording import UNITS, Recording, Signal, Video, size_text
from seewhy.timing import Phase
from seewhy.types import FloatArray

INTERPOLATION = {1: "linear", 3: "trilinear"}


class RecordingInputs(NamedTuple):
    """A batch of one for the model, and where its heatmaps lie on the recording.

    Attributes:
        values: float32 (1, *space, C), or (1, C, *space) for a model that takes channels first.
        placement: Where the input lies.
    """

    values: FloatArray
    placement: GridPlacement


@timing.phase(Phase.PREPROCESSING)
def recording_inputs(classifier: Classifier, recording: Recording) -> RecordingInputs:
    """Turn a recording into the input of a classifier's model.

    Its values go in as they are, with an axis of channels, unless the classifier has a preprocessing. They are resized
    only where the model takes one size; a warning says so.

    Raises:
        RecordingError: The model takes something else, or signals of another rate.
        ModelError: The preprocessing is for images, or returned something else than one input.
    """
    _check_kind(classifier, recording)
    if isinstance(recording, Signal):
        _check_rate(classifier, recording)
    chosen = _chosen_frames(classifier, recording) if isinstance(recording, Video) else recording
    if classifier.preprocessing is not None:
        values, placement = _preprocessed_frames(classifier, classifier.preprocessing, chosen, recording.space)
    else:
        values, placement = _finished(classifier, _resized(classifier, chosen)), whole(recording.space)
    values = _in_layout(classifier, values, recording)
    if classifier.finish is not None and classifier.preprocessing is None:
        _check_space(classifier, values, recording)
    return RecordingInputs(values, placement)


def _check_space(classifier: Classifier, values: FloatArray, recording: Recording) -> None:
    """Warn where a preprocessing function changed the size: heatmaps are laid on the whole recording."""
    if values.ndim != recording.axes + 2:
        return
    size = _model_size(classifier, recording)
    space = values.shape[2:] if classifier.framework.channels_first else values.shape[1:-1]
    if _has_frames_first(values, recording, size):
        space = (values.shape[1], *values.shape[3:])
    if space != size:
        warn(
            f"The preprocessing function made {size_text(space)} of {size_text(size)} {UNITS[recording.noun]}. "
            f"Heatmaps are laid on the whole {recording.noun}, which is right where it resized, and wrong where it "
            "cropped, padded or reordered the axes. Do that before you explain."
        )


def _check_kind(classifier: Classifier, recording: Recording) -> None:
    """Raise RecordingError if the model declares an input with another number of spatial axes."""
    shape = classifier.framework.input_shape()
    # A model of signals may have no axis of channels.
    if not isinstance(shape, tuple) or len(shape) == recording.axes + 2 or (recording.axes == 1 and len(shape) == 2):
        return
    axes = len(shape) - 2
    raise RecordingError(
        f"The model {classifier.name!r} takes {KINDS.get(axes, 'something else')} (its input shape is {shape}); given "
        f"a {recording.noun} of {size_text(recording.space)}."
    )


def check_convolutions(classifier: Classifier, recording: Recording, error: ModelRunError) -> None:
    """Raise RecordingError, where a run failed, if the model seems to take something else.

    A module declares no shape of its input, and its first convolution may come after a step that adds or removes an
    axis, so that this is no reason to refuse a recording before the run.
    """
    axes = classifier.framework.spatial_axes()
    if classifier.framework.input_shape() is None and axes in KINDS and axes != recording.axes:
        raise RecordingError(
            f"{error} The first convolution of the model {classifier.name!r} has {axes} spatial "
            f"{'axis' if axes == 1 else 'axes'}, as in models of {KINDS[axes]}; given a {recording.noun} of "
            f"{size_text(recording.space)}."
        ) from error


def _check_rate(classifier: Classifier, signal: Signal) -> None:
    """Raise RecordingError if a signal has another rate than the model's, and warn where only one of them is known."""
    name = "the signal" if signal.source is None else signal.source
    if classifier.sample_rate is None and signal.rate is not None and classifier.framework.spatial_axes() in (None, 1):
        warn(
            f"{name} has {signal.rate:g} samples a second, and the rate that the model {classifier.name!r} takes is "
            'not known. Say it: seewhy.Classifier(model, sample_rate=16000), or "sample_rate" in the sidecar.'
        )
    if None in (classifier.sample_rate, signal.rate) or classifier.sample_rate == signal.rate:
        return
    raise RecordingError(
        f"{name} has {signal.rate:g} samples a second, and the model {classifier.name!r} takes "
        f"{classifier.sample_rate:g}. Resample it first, as with scipy.signal.resample_poly, or with ffmpeg -i IN -ar "
        f"{classifier.sample_rate:g} OUT."
    )


def _chosen_frames(classifier: Classifier, video: Video) -> Video:
    """Return the frames that the model sees: of more or fewer than it takes, those at equal distances."""
    wanted, count = classifier.fixed_size(3)[0], len(video.frames)
    if wanted is None or wanted == count:
        return video
    warn(
        f"The video has {count} frames, and the model {classifier.name!r} takes {wanted}: as many are taken at equal "
        "distances. For others, choose them yourself: seewhy.Video(frames[...])."
    )
    positions = ((np.arange(wanted) + 0.5) * count / wanted).astype(int)
    return dataclasses.replace(video, frames=video.frames[positions], fps=None)


def _resized(classifier: Classifier, recording: Recording) -> FloatArray:
    """Return the values, float32 (*space, C), in the size that the model takes, if it takes one only."""
    samples = recording.samples
    size = _model_size(classifier, recording)
    if size == recording.space:
        return samples
    if not (isinstance(recording, Video) and classifier.given_size):
        warn(
            f"The {recording.noun} of {size_text(recording.space)} was resized to {size_text(size)}, the size of the "
            f"model's input, by {INTERPOLATION[recording.axes]} interpolation. For another way, as cropping or "
            "padding, do it before you explain."
        )
    for axis, (old, new) in enumerate(zip(recording.space, size, strict=True)):
        samples = samples if old == new else averaging_weights(old, new).apply(samples, axis)
    return samples


def _model_size(classifier: Classifier, recording: Recording) -> tuple[int, ...]:
    """Return the size that the model takes, along each axis of space that of the recording where it takes any."""
    fixed = classifier.fixed_size(recording.axes)
    return tuple(old if new is None else new for old, new in zip(recording.space, fixed, strict=True))


def _finished(classifier: Classifier, values: FloatArray) -> FloatArray:
    """Return a batch of one, after the preprocessing function of the user, if there is one."""
    batch = values[None]
    if classifier.finish is None:
        return batch
    finished = np.asarray(classifier.finish(batch.copy()), dtype=np.float32)
    if finished.ndim == 0 or len(finished) != 1:
        raise ModelError(
            f"The preprocessing function was given one input, {batch.shape}, and returned the shape {finished.shape}; "
            "expected a batch of one."
        )
    return finished


def _preprocessed_frames(
    classifier: Classifier, preprocessing: Preprocessing, recording: Recording, size: tuple[int, ...]
) -> tuple[FloatArray, GridPlacement]:
    """Return the frames of a video as a preprocessing of images makes them, (1, T, h, w, C), and where they lie."""
    if not isinstance(recording, Video):
        raise ModelError(
            f"The preprocessing of the model {classifier.name!r} is for images, and it was given a {recording.noun}. "
            "Give a function: seewhy.Classifier(model, preprocess=function), from float32 (N, *space, C) to the "
            "model's input."
        )
    inputs = dataclasses.replace(preprocessing, channels_first=False)(list(recording.frames))
    top, left, bottom, right = inputs.placements[0].box
    values = inputs.values
    if values.ndim == 4 and values.shape[1:3] != preprocessing.size and values.shape[2:] == preprocessing.size:
        values = np.moveaxis(values, 1, -1)  # the last step of the preprocessing put the channels first
    return values[None], GridPlacement(size, ((0.0, float(size[0])), (top, bottom), (left, right)))


def _in_layout(classifier: Classifier, values: FloatArray, recording: Recording) -> FloatArray:
    """Return a batch (1, *space, C) with its channels where the model takes them."""
    shape = classifier.framework.input_shape()
    if isinstance(shape, tuple) and len(shape) == recording.axes + 1 and values.shape[-1] == 1:
        return values[..., 0]
    if not classifier.framework.channels_first or values.ndim != recording.axes + 2:
        return values
    if classifier.finish is not None and (
        _has_frames_first(values, recording, _model_size(classifier, recording))
        or _has_channels_first(classifier, values, recording)
    ):
        return values
    return np.ascontiguousarray(np.moveaxis(values, -1, 1))


def _has_frames_first(values: FloatArray, recording: Recording, size: tuple[int, ...]) -> bool:
    """Whether a preprocessing function put the channels after the frames: (N, T, C, H, W)."""
    frames, height, width = size if isinstance(recording, Video) else (-1, -1, -1)
    is_other = values.shape[2:] == (frames, height, width) or values.shape[1:-1] == (frames, height, width)
    return values.ndim == 5 and values.shape[1] == frames and values.shape[2] in (1, 3) and not is_other


def _has_channels_first(classifier: Classifier, values: FloatArray, recording: Recording) -> bool:
    """Whether a preprocessing function put the channels first already.

    Raises:
        ModelError: It cannot be told.
    """
    size = _model_size(classifier, recording)
    is_last, is_first = values.shape[1:-1] == size, values.shape[2:] == size
    if is_last and is_first and values.size > 1:
        raise ModelError(
            f"The preprocessing function returned the shape {values.shape}, which does not tell whether the channels "
            "are the first or the last axis. Give an input with more or fewer positions than channels."
        )
    if not is_last and not is_first:
        is_first, is_last = values.shape[1] < min(values.shape[2:]), values.shape[-1] < min(values.shape[1:-1])
        if is_first == is_last:
            raise ModelError(
                f"The preprocessing function returned the shape {values.shape} for a {recording.noun} of "
                f"{size_text(size)}; expected (N, *space, C), or (N, C, *space), or of a video (N, T, C, H, W)."
            )
    return is_first and not is_last
