"""Several explanations side by side: of several methods, models or images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from seewhy import timing
from seewhy.errors import OptionError
from seewhy.images.figure import IMAGE_SUFFIXES, draw_panels, figure_writer, render
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import write_atomically
from seewhy.representation import counted, description, listed
from seewhy.results.explanation import Explanation
from seewhy.results.figures import overlay_panels
from seewhy.results.notebook_image import IMAGE_SIDE, MAX_PANELS, MAX_TARGETS, figure_jpeg
from seewhy.timing import Phase
from seewhy.types import ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS_PER_ROW = 4
"""How many explanations of one target are drawn side by side."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Explanations of the same number of targets each, drawn together.

    Attributes:
        explanations: The explanations, by several methods, of several models or of several images.
    """

    explanations: tuple[Explanation, ...]

    def __post_init__(self) -> None:
        if not all(isinstance(each, Explanation) for each in self.explanations) or not self.explanations:
            raise OptionError(f"A comparison is of one or more explanations; given {self.explanations!r}.")
        counts = [len(each.targets) for each in self.explanations]
        if len(set(counts)) != 1:
            raise OptionError(f"Explanations that are compared have as many targets each; given {counts}.")

    def __repr__(self) -> str:
        count = counted(len(self.explanations), "explanation")
        targets = counted(len(self.explanations[0].targets), "target")
        labels = listed([label for label in self.labels if label])
        return description(self, f"of {count}, {targets} each{labels and f': {labels}'}")

    @property
    def labels(self) -> tuple[str, ...]:
        """What differs between the explanations: the image, the model, the method, or several of those."""
        return _distinct(
            [
                (Path(each.source).name if each.source else "", each.model or "", each.title)
                for each in self.explanations
            ]
        )

    def figure(self, **style: Unpack[StyleOptions]) -> "Figure":
        """Draw the overlays in a grid: a row for each explanation, a column for each target.

        The explanations stand side by side where there is only one target.

        Args:
            **style: As for `Explanation.overlay`.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        return self._figure(self.explanations, Style(**style))

    def _figure(self, explanations: Sequence[Explanation], style: Style, title: str | None = None) -> "Figure":
        panels = [
            panel
            for each, label in zip(explanations, self.labels, strict=False)
            for panel in overlay_panels(each, style, prefix=f"{label}: " if label else "")
        ]
        targets = len(explanations[0].targets)
        columns = min(PANELS_PER_ROW, len(panels)) if targets == 1 else targets
        return draw_panels(panels, columns=columns, colormap=style.colormap, title=title)

    def _repr_jpeg_(self) -> bytes:
        """Draw as many of the first explanations, and of their first targets, as a notebook shows."""
        targets = min(MAX_TARGETS, len(self.explanations[0].targets))
        shown = self.explanations[: MAX_PANELS // targets]
        is_all = (len(shown), targets) == (len(self.explanations), len(self.explanations[0].targets))
        title = None if is_all else f"The first {len(shown)} explanations and {targets} targets of {repr(self)[1:-1]}"
        return figure_jpeg(self._figure([each.thumbnail(IMAGE_SIDE, targets) for each in shown], Style(), title))

    @timing.phase(Phase.DRAWING)
    def pixels(self, **style: Unpack[StyleOptions]) -> ImageArray:
        """Draw the figure into pixels, uint8 (H, W, 3)."""
        return render(self.figure(**style))

    def save(self, path: str | os.PathLike[str], **style: Unpack[StyleOptions]) -> Path:
        """Write the figure as `.png`, `.jpg`, `.svg` or `.pdf`, whole or not at all, and return the path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise OptionError(
                f"Cannot save a comparison as {path.suffix or 'a file without suffix'!r}; expected "
                f"{', '.join(IMAGE_SUFFIXES)}."
            )
        with timing.phase(Phase.DRAWING):
            writer = figure_writer(self.figure(**style), path.suffix.lower())
        write_atomically(path, writer)
        return path


def _distinct(labels: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Keep of each label the parts in which the labels differ; of a single one, the last."""
    if len(labels) == 1:
        return (labels[0][-1],)
    differ = [len(set(parts)) > 1 for parts in zip(*labels, strict=True)]
    return tuple(
        ", ".join(part for part, is_kept in zip(label, differ, strict=True) if is_kept and part) for label in labels
    )
