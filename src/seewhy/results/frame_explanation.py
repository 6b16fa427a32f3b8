"""Explanations that are drawn as a row of frames: the slices of a volume, or the frames of a video."""

import numbers
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from seewhy import timing
from seewhy.errors import OptionError, short_repr
from seewhy.images.animation import ANIMATION_SUFFIXES, animation_writer
from seewhy.images.figure import RASTER_SUFFIXES, VECTOR_SUFFIXES, Panel, draw_panels, figure_writer, render
from seewhy.images.geometry import Placement
from seewhy.images.montage import Block, Tile, draw_montage
from seewhy.images.overlay import overlay
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import Writer, image_writer
from seewhy.results.explained_targets import DEFAULT_STYLE
from seewhy.results.figures import FigureKind, caption
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.results.target_result import TargetRef
from seewhy.timing import Phase
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MONTAGE_FRAMES = 12
"""How many frames a montage shows."""

MAX_FRAMES = 300
"""How many frames a montage or an animation can show; of more, as many are taken at equal distances."""

COLUMNS = 4


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FrameExplanation(RecordingExplanation):
    """Where a volume or a video holds the evidence for each target.

    Frames are the slices across one of its axes, or the images of a video. All are drawn with one scale of colours: a
    heatmap is normalized as a whole.
    """

    @abstractmethod
    def frame(self, position: int, axis: int = 0) -> ImageArray:
        """Return a frame without its heatmap, uint8 (H, W, 3).

        Args:
            position: Its number, from 0.
            axis: The axis that the frames are across.
        """

    @abstractmethod
    def frame_placement(self, axis: int = 0) -> Placement:
        """Return where the heatmaps that `frame_heatmaps` returns lie on a frame."""

    @abstractmethod
    def frame_label(self, position: int, axis: int = 0) -> str:
        """Return what stands above a frame: its number, from 1, and its axis or its time.

        Such as "axial slice 12 of 40"; "slice 12 of 40, axis 0", where the affine is not known; or "frame 3 of 16, 0.25
        s". `position` counts from 0.
        """

    @abstractmethod
    def _number(self, position: int, axis: int) -> str:
        """Return what stands above a frame among others across the same axis, such as "slice 12 of 40"."""

    @abstractmethod
    def _frames_name(self, axis: int) -> str:
        """Return what the frames across an axis are, such as "axial slices"; nothing where there is one axis."""

    @abstractmethod
    def axis_name(self, axis: int) -> str:
        """Return what the frames across an axis are called, such as "axial"."""

    @abstractmethod
    def _arrange(self, plane: FloatArray, axis: int) -> FloatArray:
        """Return values (..., a, b) across an axis as rows and columns of a frame."""

    @property
    @abstractmethod
    def _seconds(self) -> float:
        """How long an animation shows each frame."""

    def frame_count(self, axis: int = 0) -> int:
        """Return the number of frames across an axis."""
        return self.placement.size[self._check_axis(axis)]

    def frame_heatmaps(self, position: int, axis: int = 0) -> FloatArray:
        """Return the raw heatmaps on a frame, float32 (T, u, v), interpolated linearly between the layer's cells.

        Args:
            position: The number of the frame, from 0.
            axis: The axis that the frames are across.
        """
        return self._across(self.heatmaps, self._check_position(position, axis), axis)

    @property
    def frame_seconds(self) -> float:
        """How long an animation shows each frame."""
        return self._seconds

    def heatmap_planes(self, axis: int = 0) -> FloatArray:
        """Return the raw heatmaps as planes of cells across an axis, float32 (T, d, u, v), arranged as the frames are.

        Args:
            axis: The axis that the frames are across.
        """
        planes = np.moveaxis(self.heatmaps, self._check_axis(axis) + 1, 1)
        return np.ascontiguousarray(self._arrange(planes, axis))

    def strongest_frame(self, target: TargetRef = 0, axis: int = 0) -> int:
        """Return the number of the frame through the maximum of a heatmap."""
        axis = self._check_axis(axis)
        heatmap = self.heatmaps[self.find_target(target)]
        cell = int(heatmap.max(axis=tuple(other for other in range(heatmap.ndim) if other != axis)).argmax())
        start, stop = self.placement.extents[axis]
        centre = start + (cell + 0.5) * (stop - start) / heatmap.shape[axis]
        return int(np.clip(centre, 0, self.frame_count(axis) - 1))

    def overlay(
        self, target: TargetRef = 0, *, position: int | None = None, axis: int = 0, **style: Unpack[StyleOptions]
    ) -> ImageArray:
        """Blend the normalized heatmap of one target into a frame.

        Args:
            target: The position of one of `targets`, or its name.
            position: The number of the frame, from 0; None takes that through the heatmap's maximum.
            axis: The axis that the frames are across.
            **style: The attributes of `Style`.

        Returns:
            uint8 (H, W, 3).

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        position = self.strongest_frame(target, axis) if position is None else position
        positions, chosen = [self._check_position(position, axis)], [self.find_target(target)]
        ((drawn,),) = self._overlays(positions, axis, chosen, Style(**style))
        return drawn

    def figure(
        self,
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        axis: int = 0,
        frames: int = MONTAGE_FRAMES,
        **style: Unpack[StyleOptions],
    ) -> "Figure":
        """Draw a matplotlib figure of frames at equal distances, each with its overlay.

        Args:
            kind: "overlay": one target. None or "grid": all targets.
            target: The target that is shown, of the kind that shows one.
            axis: The axis that the frames are across.
            frames: How many frames are shown.
            **style: As for `overlay`.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        chosen, drawn, positions = self._targets_of(kind, target), Style(**style), self._positions(axis, frames)
        panels = [
            Panel(self._title(position, axis, number, chosen), image, self.color_scale(number, drawn) if last else None)
            for number, images in zip(chosen, self._by_target(positions, axis, chosen, drawn), strict=True)
            for position, image in zip(positions, images, strict=True)
            for last in (drawn.colorbar and position == positions[-1],)
        ]
        title = self._heading(axis, chosen[0]) if len(chosen) == 1 else self._frames_name(axis) or None
        return draw_panels(panels, columns=min(COLUMNS, len(positions)), colormap=drawn.colormap, title=title)

    @timing.phase(Phase.DRAWING)
    def pixels(
        self,
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        axis: int = 0,
        frames: int = MONTAGE_FRAMES,
        **style: Unpack[StyleOptions],
    ) -> ImageArray:
        """Draw a montage of frames at equal distances, uint8 (H, W, 3); the arguments are those of `figure`."""
        drawn = Style(**style)
        if drawn.colorbar:
            return render(self.figure(kind, target=target, axis=axis, frames=frames, **style))
        chosen, positions = self._targets_of(kind, target), self._positions(axis, frames)
        blocks = [
            Block(
                self._heading(axis, number),
                [Tile(self._number(position, axis), image) for position, image in zip(positions, images, strict=True)],
            )
            for number, images in zip(chosen, self._by_target(positions, axis, chosen, drawn), strict=True)
        ]
        return draw_montage(blocks, columns=COLUMNS)

    def animation(
        self,
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        axis: int = 0,
        **style: Unpack[StyleOptions],
    ) -> Iterator[ImageArray]:
        """Draw the frames of an animation, each uint8 (H, W, 3), with the targets side by side.

        The arguments are those of `figure`; at most 300 frames are drawn, at equal distances.
        """
        chosen, drawn = self._targets_of(kind, target), Style(**style)
        for position in self._positions(axis, MAX_FRAMES):
            (images,) = self._overlays([position], axis, chosen, drawn)
            tiles = [Tile(caption(self.targets[number]), image) for number, image in zip(chosen, images, strict=True)]
            yield draw_montage([Block(self.frame_label(position, axis), tiles)], columns=len(tiles))

    def save(
        self,
        path: str | os.PathLike[str],
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        axis: int = 0,
        frames: int = MONTAGE_FRAMES,
        seconds: float | None = None,
        **style: Unpack[StyleOptions],
    ) -> Path:
        """Write the explanation in the format of the suffix. The file is written whole or not at all.

        Args:
            path: `.png`, `.jpg`: what `pixels` draws. `.svg`, `.pdf`: the same as a figure. `.gif`, `.webp`: an
                animation through all frames. `.npz`: the arrays. `.json`: everything but the arrays. `.html`: an
                interactive report.
            kind: As for `figure`; the other arguments likewise.
            target: As for `figure`.
            axis: As for `figure`.
            frames: As for `figure`.
            seconds: How long an animation shows each frame; None takes a tenth of a second, and of a video its own.
            **style: As for `overlay`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """
        options: Any = {"target": target, "axis": axis, **style}
        duration = self._seconds if seconds is None else seconds

        def raster(suffix: str) -> Writer:
            return image_writer(self.pixels(kind, frames=frames, **options), suffix)

        def vector(suffix: str) -> Writer:
            return figure_writer(self.figure(kind, frames=frames, **options), suffix)

        def animated(suffix: str) -> Writer:
            return animation_writer(list(self.animation(kind, **options)), suffix, duration)

        kinds = ((raster, RASTER_SUFFIXES), (vector, VECTOR_SUFFIXES), (animated, ANIMATION_SUFFIXES))
        writers = {suffix: partial(write, suffix) for write, suffixes in kinds for suffix in suffixes}
        return self._save(path, {**writers, **self._own_writers(kind, target)})

    def _own_writers(self, kind: FigureKind | None, target: TargetRef) -> dict[str, Callable[[], Writer]]:
        """Return what writes files of formats that only this kind of explanation has."""
        return {}

    def _targets_of(self, kind: FigureKind | None, target: TargetRef) -> list[int]:
        """Return the targets that are shown."""
        if kind not in (None, "grid", "overlay"):
            raise OptionError(
                f"The figure {short_repr(kind)} is for images; of a {self.noun} expected 'overlay' or 'grid'."
            )
        return [self.find_target(target)] if kind == "overlay" else list(range(len(self.targets)))

    def _title(self, position: int, axis: int, number: int, chosen: Sequence[int]) -> str:
        label = self._number(position, axis)
        return label if len(chosen) == 1 else f"{caption(self.targets[number])}\n{label}"

    def _heading(self, axis: int, number: int) -> str:
        """Return what stands above the frames of one target."""
        return ": ".join(filter(None, (self._frames_name(axis), caption(self.targets[number]))))

    def _positions(self, axis: int, frames: Any) -> list[int]:
        """Return the numbers of frames at equal distances, each in the middle of its part."""
        is_whole = isinstance(frames, numbers.Integral) and not isinstance(frames, bool)
        if not is_whole or not 1 <= frames <= MAX_FRAMES:
            raise OptionError(f"frames is {short_repr(frames)}; expected a number from 1 to {MAX_FRAMES}.")
        count = self.frame_count(axis)
        shown = min(int(frames), count)
        return [int((part + 0.5) * count / shown) for part in range(shown)]

    def _by_target(
        self, positions: Sequence[int], axis: int, chosen: Sequence[int], style: Style
    ) -> list[tuple[ImageArray, ...]]:
        return list(zip(*self._overlays(positions, axis, chosen, style), strict=True))

    def _overlays(
        self, positions: Sequence[int], axis: int, chosen: Sequence[int], style: Style
    ) -> list[list[ImageArray]]:
        """Return the overlay of each of these targets on each frame."""
        maps, placement = self.normalize(style.normalization)[list(chosen)], self.frame_placement(axis)
        drawn = []
        for position in positions:
            frame, planes = self.frame(position, axis), self._across(maps, position, axis, style)
            placed = placement.place(planes, style.upsampling)
            drawn.append([overlay(frame, heatmap, placement.covered, style) for heatmap in placed])
        return drawn

    def _across(self, maps: FloatArray, position: int, axis: int, style: Style = DEFAULT_STYLE) -> FloatArray:
        """Return maps (T, *space) on one frame, (T, u, v)."""
        plane = self.placement.along(axis, maps, axis + 1, style.upsampling, position)
        return np.ascontiguousarray(self._arrange(plane.squeeze(axis + 1), axis))

    def _check_axis(self, axis: Any) -> int:
        is_whole = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
        if not is_whole or not 0 <= axis < 3:
            raise OptionError(f"axis is {short_repr(axis)}; expected 0, 1 or 2.")
        return int(axis)

    def _check_position(self, position: Any, axis: int) -> int:
        count = self.frame_count(axis)
        is_whole = isinstance(position, numbers.Integral) and not isinstance(position, bool)
        if not is_whole or not 0 <= position < count:
            raise OptionError(f"position is {short_repr(position)}; expected a frame from 0 to {count - 1}.")
        return int(position)
