"""Matplotlib figures of titled panels, drawn without pyplot and its global state."""

import importlib.util
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from seewhy.errors import MissingExtraError, OptionError
from seewhy.images.colour import color_table
from seewhy.images.text import printable
from seewhy.images.writing import Writer, image_writer
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 3.0
"""The height of a panel."""
TITLE_INCHES = 0.35

LETTERS = 11
"""How many letters of a title fit an inch."""
NARROWEST, WIDEST = 0.5, 2.5
"""The limits of a panel's aspect ratio, width / height; an image beyond them is drawn smaller."""
BARS_ASPECT = 1.6
SCALE_ASPECT = 0.35
"""The width of a colour bar and its numbers, as a share of the height of a panel."""
VECTOR_DPI = 200
"""The resolution of photos and overlays within a vector graphic."""
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg")
VECTOR_SUFFIXES = (".svg", ".pdf")
IMAGE_SUFFIXES = (*RASTER_SUFFIXES, *VECTOR_SUFFIXES)
"""The suffixes of files that figures are written to."""
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


class ColorScale(NamedTuple):
    """The raw values that are drawn in the first and in the last colour of the colour map."""

    low: float
    high: float


class Panel(NamedTuple):
    """One panel of a figure.

    Attributes:
        title: The text above the panel.
        content: An image, uint8 (H, W, 3); a heatmap (u, v) in 0..1; or bars.
        scale: What a colour bar beside the panel says; None for no colour bar.
    """

    title: str
    content: ImageArray | FloatArray | Bars
    scale: ColorScale | None = None


def draw_panels(panels: Sequence[Panel], *, columns: int, colormap: str, title: str | None = None) -> "Figure":
    """Draw panels in a grid; all panels have the same height, and heatmaps are drawn as cells.

    Args:
        panels: The panels, row by row.
        columns: How many panels a row has.
        colormap: The name of the colour map for heatmaps.
        title: The title of the whole figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OptionError: There are more than `MAX_PANELS` panels, or the colour map is unknown.
    """
    check_matplotlib()
    if len(panels) > MAX_PANELS:
        raise OptionError(f"The figure would have {len(panels)} panels; the limit is {MAX_PANELS}. Draw fewer at once.")
    color_table(colormap)  # raises OptionError for an unknown name, before matplotlib raises its own error
    rows = -(-len(panels) // columns)
    aspects = [_aspect(panel) for panel in panels]
    widths = [min(max(max(aspects[column::columns]), NARROWEST), WIDEST) for column in range(columns)]
    size = (PANEL_INCHES * sum(widths), (PANEL_INCHES + TITLE_INCHES) * rows + (TITLE_INCHES if title else 0))
    figure = new_figure(*size)
    if title:
        figure.suptitle(printable(title), parse_math=False)
    grid = figure.add_gridspec(rows, columns, width_ratios=widths)
    for position, panel in enumerate(panels):
        axes = figure.add_subplot(grid[position])
        inches = PANEL_INCHES * widths[position % columns]
        text = _wrapped(printable(panel.title), inches)
        axes.set_title(text, fontsize="medium", parse_math=False)  # class names may contain $
        _draw(panel.content, axes, colormap)
        if panel.scale is not None:
            _draw_scale(panel.scale, figure, axes, colormap)
    return figure


def _wrapped(title: str, inches: float) -> str:
    """Return a title in lines that are no wider than its panel: matplotlib wraps at the edge of the figure."""
    return "\n".join(textwrap.fill(line, int(inches * LETTERS)) for line in title.split("\n"))


def check_matplotlib() -> None:
    """Raise MissingExtraError if matplotlib, which draws all figures, is not installed. It is not imported."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("For figures with titles, grids, bars or a colour bar, matplotlib", "figures")


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, sized in inches, that is not registered with pyplot.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _aspect(panel: Panel) -> float:
    if isinstance(panel.content, Bars):
        return BARS_ASPECT
    aspect: float = panel.content.shape[1] / panel.content.shape[0]
    return aspect if panel.scale is None else aspect + SCALE_ASPECT


def _draw_scale(scale: ColorScale, figure: "Figure", axes: "Axes", colormap: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure.colorbar(ScalarMappable(Normalize(*scale), colormap), ax=axes, fraction=0.08, pad=0.02).minorticks_off()


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


def figure_writer(figure: "Figure", suffix: str) -> Writer:
    """Return a function that writes a figure: as pixels (`RASTER_SUFFIXES`) or as a vector graphic (`VECTOR_SUFFIXES`).

    In a vector graphic, texts, bars and heatmap cells stay sharp at any size; photos and overlays are pixels.
    """
    if suffix in RASTER_SUFFIXES:
        return image_writer(render(figure), suffix)
    date = "Date" if suffix == ".svg" else "CreationDate"  # left out, so that equal figures are equal files
    return lambda file: figure.canvas.print_figure(file, format=suffix[1:], dpi=VECTOR_DPI, metadata={date: None})


def render(figure: "Figure", dpi: int = 120) -> ImageArray:
    """Render a figure to pixels, uint8 (H, W, 3)."""
    import numpy as np

    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
