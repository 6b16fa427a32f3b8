"""How explanations of images, of volumes and videos, and of signals become the viewer's input: one Protocol for all.

What the viewer does with an explanation it asks of its kind, which the table `KINDS` has for the noun of what was
explained. Nothing else in the viewer's Python tells kinds apart.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, final

import numpy as np

from seewhy.types import FloatArray
from seewhy.viewer.explanation_like import ExplainedLike, ExplanationLike, FramesLike, SignalLike
from seewhy.viewer.photos import PhotoLimits, photo_url
from seewhy.viewer.recording_data import (
    axis_heatmaps,
    frames_note,
    recording_data,
    signal_data,
    signal_heatmaps,
    signal_note,
)
from seewhy.viewer.viewer_format import AxisHeatmaps, ImageEntry

Explained = TypeVar("Explained", bound=ExplainedLike, contravariant=True)


class Photo(NamedTuple):
    """What stands for an explanation in the viewer's input.

    Attributes:
        width: In pixels that boxes refer to; of a signal, its samples.
        height: Likewise; of a signal, 1.
        url: That of the photo; empty for a signal.
    """

    width: int
    height: int
    url: str


class Cells(NamedTuple):
    """The heatmaps of an explanation, and where they lie.

    Attributes:
        values: One for each target, in the order of `ExplanationData`.
        rows: Of each.
        columns: Of each.
        box: [top, left, bottom, right] of the heatmaps on the image.
        input: The same of the model's input.
        axes: Of a volume or a video: where they lie across each axis.
        extent: Of a signal: [start, stop], in samples.
    """

    values: Sequence[FloatArray]
    rows: int
    columns: int
    box: list[float]
    input: list[float]
    axes: list[AxisHeatmaps] | None = None
    extent: list[float] | None = None


class Kind(Protocol[Explained]):
    """How the viewer shows one kind of explanation."""

    def given(self, explanation: Explained) -> tuple[object, tuple[int, ...]]:
        """Return what was explained, and its size: explanations of the same are shown together."""

    def photo(self, explanation: Explained, limits: PhotoLimits, url: str | None) -> Photo:
        """Return the photo of what was explained; `url` is where a host serves that of an image."""

    def cells(self, explanation: Explained, limits: PhotoLimits) -> Cells:
        """Return the heatmaps, of a recording as many cells as the limits allow."""

    def add_recording(self, entry: ImageEntry, explanation: Explained, limits: PhotoLimits) -> str:
        """Add what only this kind has to an entry, and return what of it is not shown in full, in sentences."""


@final
class ImageKind:
    """An image."""

    def given(self, explanation: ExplanationLike) -> tuple[object, tuple[int, ...]]:
        return explanation.image, explanation.image.shape

    def photo(self, explanation: ExplanationLike, limits: PhotoLimits, url: str | None) -> Photo:
        height, width = explanation.placement.image_size
        return Photo(width, height, url or photo_url(explanation.image, limits))

    def cells(self, explanation: ExplanationLike, limits: PhotoLimits) -> Cells:
        maps, placement = np.asarray(explanation.heatmaps, dtype=np.float32), explanation.placement
        _, rows, columns = maps.shape
        return Cells(list(maps), rows, columns, _floats(placement.heatmap_box), _floats(placement.box))

    def add_recording(self, entry: ImageEntry, explanation: ExplanationLike, limits: PhotoLimits) -> str:
        return ""


@final
class FramesKind:
    """A volume or a video."""

    def given(self, explanation: FramesLike) -> tuple[object, tuple[int, ...]]:
        return explanation.recording, explanation.placement.size

    def photo(self, explanation: FramesLike, limits: PhotoLimits, url: str | None) -> Photo:
        height, width = explanation.frame_placement().image_size
        return Photo(width, height, photo_url(explanation.frame(explanation.strongest_frame()), limits))

    def cells(self, explanation: FramesLike, limits: PhotoLimits) -> Cells:
        axes, values = axis_heatmaps(explanation, limits)
        first = axes[0]
        return Cells(values, first["rows"], first["columns"], first["box"], first["box"], axes=axes)

    def add_recording(self, entry: ImageEntry, explanation: FramesLike, limits: PhotoLimits) -> str:
        entry["recording"] = recording_data(explanation, limits)
        return frames_note(explanation, entry["recording"], entry["explanations"][0]["axes"])


@final
class SignalKind:
    """A signal."""

    def given(self, explanation: SignalLike) -> tuple[object, tuple[int, ...]]:
        return explanation.signal, explanation.placement.size

    def photo(self, explanation: SignalLike, limits: PhotoLimits, url: str | None) -> Photo:
        return Photo(explanation.placement.size[0], 1, "")

    def cells(self, explanation: SignalLike, limits: PhotoLimits) -> Cells:
        maps, (start, stop) = signal_heatmaps(explanation), explanation.placement.extents[0]
        box: list[float] = [0, start, 1, stop]
        return Cells(list(maps), 1, maps.shape[1], box, box, extent=[start, stop])

    def add_recording(self, entry: ImageEntry, explanation: SignalLike, limits: PhotoLimits) -> str:
        entry["signal"] = signal_data(explanation)
        return signal_note(explanation, entry["signal"])


KINDS: dict[str, Kind[Any]] = {
    "image": ImageKind(),
    "volume": FramesKind(),
    "video": FramesKind(),
    "signal": SignalKind(),
}
"""The kind of an explanation, by its noun."""


def kind_of(explanation: ExplainedLike) -> Kind[Any]:
    """Return how an explanation is shown."""
    return KINDS[explanation.noun]


def _floats(box: Sequence[float]) -> list[float]:
    return [float(edge) for edge in box]
