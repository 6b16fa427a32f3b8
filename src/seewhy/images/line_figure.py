"""Figures of signals: lines in the colours of a heatmap."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seewhy.errors import OptionError
from seewhy.images.colour import color_table
from seewhy.images.figure import ColorScale, new_figure
from seewhy.images.text import printable
from seewhy.types import DoubleArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 9.0, 2.2
"""Of the axes of one line, in inches."""

WIDE, NARROW = 2.0, 1.0
"""The widths of a line, in points: narrow where more samples lie side by side than there are pixels."""
DENSE = 1000
EDGE = "#333333"

MAX_LINES = 60
"""How many lines a figure has: targets times channels."""

MAX_POINTS = 4000
"""How many points a line is drawn with: of more samples, the lowest and the highest one of each part."""


class HeatLine(NamedTuple):
    """What colours a line.

    Attributes:
        title: The text above it.
        heatmap: float32 (L,) in 0..1, for each sample.
        scale: What a colour bar beside the line says; None for no colour bar.
    """

    title: str
    heatmap: FloatArray
    scale: ColorScale | None = None


def draw_lines(
    times: DoubleArray, samples: FloatArray, lines: Sequence[HeatLine], *, colormap: str, unit: str
) -> "Figure":
    """Draw a signal once for each heatmap, each channel on axes of its own.

    Args:
        times: float64 (L,), ascending.
        samples: float32 (L, C).
        lines: The heatmaps.
        colormap: The name of the colour map.
        unit: What stands below the axes of time.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: There are too many lines, or the colour map is unknown.
    """
    channels = samples.shape[1]
    if len(lines) * channels > MAX_LINES:
        raise OptionError(
            f"The figure would have {len(lines) * channels} lines, one for each target and channel; the limit is "
            f"{MAX_LINES}. Draw fewer targets at once."
        )
    color_table(colormap)  # raises OptionError for an unknown name
    figure = new_figure(WIDTH, HEIGHT * len(lines) * channels + 0.3)
    grid = figure.subplots(len(lines) * channels, 1, squeeze=False, sharex=True)[:, 0]
    for number, line in enumerate(lines):
        for channel in range(channels):
            axes = grid[number * channels + channel]
            _draw_line(axes, times, samples[:, channel], line.heatmap, colormap)
            if channels > 1:
                axes.set_ylabel(f"channel {channel}")
        grid[number * channels].set_title(printable(line.title), fontsize="medium", parse_math=False)
        if line.scale is not None:
            _draw_scale(line.scale, figure, list(grid[number * channels : (number + 1) * channels]), colormap)
    grid[-1].set_xlabel(unit)
    return figure


def _draw_line(axes: "Axes", times: DoubleArray, values: FloatArray, heatmap: FloatArray, colormap: str) -> None:
    from matplotlib.collections import LineCollection

    kept, colors = _reduced(values, heatmap)
    points = np.stack([times[kept], values[kept]], axis=1)
    segments = np.stack([points[:-1], points[1:]], axis=1) if len(kept) > 1 else np.stack([points, points], axis=1)
    # The colour of a segment is the larger one of its ends: evidence of a single sample stays visible.
    ends = np.maximum(colors[:-1], colors[1:]) if len(kept) > 1 else colors
    # On a dark line, so that bright colours stand out from the paper.
    width = WIDE if len(kept) <= DENSE else NARROW
    axes.plot(points[:, 0], points[:, 1], color=EDGE, linewidth=width + 1.4, solid_capstyle="round")
    collection = LineCollection(list(segments), cmap=colormap, linewidths=width, capstyle="round", zorder=3)
    collection.set_array(ends)
    collection.set_clim(0, 1)
    axes.add_collection(collection)
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 1.0
    axes.set_xlim(float(times[0]), float(times[-1]) if len(times) > 1 else float(times[0]) + 1)
    axes.set_ylim(low - margin, high + margin)
    axes.spines[["top", "right"]].set_visible(False)


def _reduced(values: FloatArray, heatmap: FloatArray) -> tuple["np.ndarray[tuple[int], np.dtype[np.intp]]", FloatArray]:
    """Return which samples are drawn, and the strongest colour of the part of each one."""
    count = len(values)
    if count <= MAX_POINTS:
        return np.arange(count), heatmap
    edges = np.linspace(0, count, MAX_POINTS // 2 + 1).astype(int)
    kept, colors = [], []
    for start, stop in pairwise(edges.tolist()):
        part = values[start:stop]
        kept += sorted((start + int(part.argmin()), start + int(part.argmax())))
        colors += [float(heatmap[start:stop].max())] * 2
    return np.array(kept), np.array(colors, dtype=np.float32)


def _draw_scale(scale: ColorScale, figure: "Figure", axes: "list[Axes]", colormap: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure.colorbar(ScalarMappable(Normalize(*scale), colormap), ax=axes, fraction=0.03, pad=0.01).minorticks_off()
