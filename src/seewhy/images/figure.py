"""Matplotlib figures of titled panels, drawn without pyplot and its global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from seewhy.errors import OptionError
from seewhy.images.colour import color_table
from seewhy.images.text import printable
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 3.0
"""The height of a panel."""
TITLE_INCHES = 0.35
NARROWEST, WIDEST = 0.5, 2.5
"""The limits of a panel's aspect ratio, width / height; an image beyond them is drawn smaller."""
BARS_ASPECT = 1.6
MAX_PANELS = 300
"""Panels in one figure. Their layout takes most of a minute, and in two columns they reach the height limit of JPEG."""
HIGHLIGHTED, PLAIN = "#d1495b", "#5b7c99"
"""The colours of highlighted bars and of the others."""


class Bars(NamedTuple):
    """The content of a panel: a bar chart.

    Attributes:
        values: The length of each bar, positive or negative.
        labels: The label of each bar, for horizontal bars; None for vertical bars without labels.
        highlighted: The positions of the bars that are drawn in another colour.
    """

    values: Sequence[float]
    labels: Sequence[str] | None = None
    highlighted: Sequence[int] = ()


class Panel(NamedTuple):
    """One panel of a figure.

    Attributes:
        title: The text above the panel.
        content: An image, uint8 (H, W, 3); a heatmap (u, v) in 0..1; or bars.
    """

    title: str
    content: ImageArray | FloatArray | Bars


def draw_panels(panels: Sequence[Panel], *, columns: int, colormap: str, title: str | None = None) -> "Figure":
    """Draw panels in a grid; all panels have the same height, and heatmaps are drawn as cells.

    Args:
        panels: The panels, row by row.
        columns: How many panels a row has.
        colormap: The name of the matplotlib colour map for heatmaps.
        title: The title of the whole figure.

    Raises:
        OptionError: There are more than `MAX_PANELS` panels, or the colour map is unknown.
    """
    if len(panels) > MAX_PANELS:
        raise OptionError(f"The figure would have {len(panels)} panels; the limit is {MAX_PANELS}. Draw fewer at once.")
    color_table(colormap)  # raises OptionError for an unknown name, before matplotlib raises its own error
    rows = -(-len(panels) // columns)
    aspects = [_aspect(panel.content) for panel in panels]
    widths = [min(max(max(aspects[column::columns]), NARROWEST), WIDEST) for column in range(columns)]
    size = (PANEL_INCHES * sum(widths), (PANEL_INCHES + TITLE_INCHES) * rows + (TITLE_INCHES if title else 0))
    figure = new_figure(*size)
    if title:
        figure.suptitle(printable(title), parse_math=False)
    grid = figure.add_gridspec(rows, columns, width_ratios=widths)
    for position, panel in enumerate(panels):
        axes = figure.add_subplot(grid[position])
        axes.set_title(
            printable(panel.title), fontsize="medium", wrap=True, parse_math=False
        )  # class names may contain $
        _draw(panel.content, axes, colormap)
    return figure


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, sized in inches, that is not registered with pyplot."""
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
    colors = [HIGHLIGHTED if position in bars.highlighted else PLAIN for position in positions]
    if bars.labels is None:
        axes.bar(positions, bars.values, color=colors, width=1.0)
        # Each of a thousand bars is thinner than a pixel, so a dot marks the end of a highlighted one.
        ends = [bars.values[position] for position in bars.highlighted]
        axes.plot(bars.highlighted, ends, "o", color=HIGHLIGHTED, markersize=4)
    else:
        axes.barh(positions, bars.values, color=colors)
        axes.set_yticks(positions, list(map(printable, bars.labels)), parse_math=False)
        axes.invert_yaxis()  # the first bar at the top
    axes.spines[["top", "right"]].set_visible(False)


def render(figure: "Figure", dpi: int = 120) -> ImageArray:
    """Render a figure to pixels, uint8 (H, W, 3)."""
    import numpy as np

    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
