"""The explanation of one signal."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, final

from seewhy import timing
from seewhy.errors import OptionError, short_repr
from seewhy.images.figure import IMAGE_SUFFIXES, figure_writer, render
from seewhy.images.line_figure import HeatLine, draw_lines
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import Writer
from seewhy.recordings.recording import Signal
from seewhy.results.figures import FigureKind, caption
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.results.target_result import TargetRef
from seewhy.timing import Phase
from seewhy.types import ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SignalExplanation(RecordingExplanation):
    """When one signal holds the evidence for each target.

    Attributes:
        signal: The signal.
    """

    signal: Signal

    @property
    def recording(self) -> Signal:
        return self.signal

    def figure(
        self, kind: FigureKind | None = None, *, target: TargetRef = 0, **style: Unpack[StyleOptions]
    ) -> "Figure":
        """Draw the signal as a line in the colours of its heatmap, below each other for several targets.

        Args:
            kind: "overlay": one target. None or "grid": all targets.
            target: The target that is shown, of the kind that shows one.
            **style: The attributes of `Style`, of which `colormap`, `normalization`, `upsampling` and `colorbar` count.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
            MissingExtraError: matplotlib is not installed.
        """
        if kind not in (None, "grid", "overlay"):
            raise OptionError(f"The figure {short_repr(kind)} is for images; of a signal expected 'overlay' or 'grid'.")
        drawn, everyone = Style(**style), range(len(self.targets))
        lines = [
            HeatLine(
                caption(self.targets[position]),
                self.normalized_heatmap(position, drawn),
                self.color_scale(position, drawn) if drawn.colorbar else None,
            )
            for position in ([self.find_target(target)] if kind == "overlay" else everyone)
        ]
        unit = "sample" if self.signal.rate is None else "time in s"
        return draw_lines(self.signal.times, self.signal.samples, lines, colormap=drawn.colormap, unit=unit)

    @timing.phase(Phase.DRAWING)
    def pixels(
        self, kind: FigureKind | None = None, *, target: TargetRef = 0, **style: Unpack[StyleOptions]
    ) -> ImageArray:
        """Draw the figure into pixels, uint8 (H, W, 3); the arguments are those of `figure`."""
        return render(self.figure(kind, target=target, **style))

    def save(
        self,
        path: str | os.PathLike[str],
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        **style: Unpack[StyleOptions],
    ) -> Path:
        """Write the explanation in the format of the suffix. The file is written whole or not at all.

        Args:
            path: `.png`, `.jpg`, `.svg`, `.pdf`: the figure. `.npz`: the arrays. `.json`: everything but the arrays.
                `.html`: an interactive report.
            kind: As for `figure`; the other arguments likewise.
            target: As for `figure`.
            **style: As for `figure`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """

        def writer(suffix: str) -> Writer:
            return figure_writer(self.figure(kind, target=target, **style), suffix)

        return self._save(path, {suffix: partial(writer, suffix) for suffix in IMAGE_SUFFIXES})

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "rate": self.signal.rate}
