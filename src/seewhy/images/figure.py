"""Figures: titled panels side by side, drawn without pyplot and so without its global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from seewhy.errors import OptionError
from seewhy.images.overlay import color_table
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 3.0
"""A panel's height."""
TITLE_INCHES = 0.35
NARROWEST, WIDEST = 0.5, 2.5
"""Width to height of a panel, at the extremes: beyond them an image is drawn smaller."""
BARS_ASPECT = 1.6
MOST_PANELS = 300
"""In one figure. Laying out so many takes most of a minute, and in two columns they are as high as a JPEG can be."""
MARKED, UNMARKED = "#d1495b", "#5b7c99"
"""The colours of bars: those that are pointed out, and the others."""


class Bars(NamedTuple):
    """A bar for each of some values.

    Attributes:
        values: One for each bar, of either sign.
        labels: What stands beside each bar, which then lie below each other; None for a row of upright ones.
        marked: The positions of the bars that are drawn in another colour.
    """

    values: Sequence[float]
    labels: Sequence[str] | None = None
    marked: Sequence[int] = ()


class Panel(NamedTuple):
    """An image uint8 (H, W, 3), a map (u, v) of values in 0..1, or bars; and what stands above it."""

    title: str
    content: ImageArray | FloatArray | Bars


def draw_panels(panels: Sequence[Panel], *, columns: int, colormap: str, title: str | None = None) -> "Figure":
    """Lay panels out in rows of `columns`, all of one height; maps are drawn as cells, uninterpolated.

    Raises:
        OptionError: There are more than `MOST_PANELS`, or the colour map is unknown.
    """
    if len(panels) > MOST_PANELS:
        raise OptionError(
            f"A figure would have {len(panels)} panels; it can have {MOST_PANELS}. Ask for fewer at once."
        )
    color_table(colormap)  # an unknown name is our error, not matplotlib's
    rows = -(-len(panels) // columns)
    aspects = [_aspect(panel.content) for panel in panels]
    widths = [min(max(max(aspects[column::columns]), NARROWEST), WIDEST) for column in range(columns)]
    size = (PANEL_INCHES * sum(widths), (PANEL_INCHES + TITLE_INCHES) * rows + (TITLE_INCHES if title else 0))
    figure = new_figure(*size)
    if title:
        figure.suptitle(title, parse_math=False)
    grid = figure.add_gridspec(rows, columns, width_ratios=widths)
    for position, panel in enumerate(panels):
        axes = figure.add_subplot(grid[position])
        axes.set_title(panel.title, fontsize="medium", wrap=True, parse_math=False)  # a name may hold a $
        _draw(panel.content, axes, colormap)
    return figure


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, sized in inches, that no window knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _aspect(content: ImageArray | FloatArray | Bars) -> float:
    return BARS_ASPECT if isinstance(content, Bars) else content.shape[1] / content.shape[0]


def _draw(content: ImageArray | FloatArray | Bars, axes: "Axes", colormap: str) -> None:
    if isinstance(content, Bars):
        _draw_bars(content, axes)
        return
    axes.set_axis_off()
    if content.ndim == 3:
        axes.imshow(content)
    else:
        axes.imshow(content, cmap=colormap, vmin=0, vmax=1, interpolation="nearest")


def _draw_bars(bars: Bars, axes: "Axes") -> None:
    positions = range(len(bars.values))
    colors = [MARKED if position in bars.marked else UNMARKED for position in positions]
    if bars.labels is None:
        axes.bar(positions, bars.values, color=colors, width=1.0)
        # Of a thousand bars each is thinner than a pixel: a dot at its end shows where a marked one stands.
        axes.plot(bars.marked, [bars.values[each] for each in bars.marked], "o", color=MARKED, markersize=4)
    else:
        axes.barh(positions, bars.values, color=colors)
        axes.set_yticks(positions, bars.labels, parse_math=False)
        axes.invert_yaxis()  # the first on top
    axes.spines[["top", "right"]].set_visible(False)


def render(figure: "Figure", dpi: int = 120) -> ImageArray:
    """Draw a figure into pixels, uint8 (H, W, 3)."""
    import numpy as np

    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
