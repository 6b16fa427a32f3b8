"""Figures: titled panels side by side, drawn without pyplot and so without its global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from seewhy.images.overlay import color_table
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_INCHES = 3.0
"""A panel's height."""
TITLE_INCHES = 0.35
NARROWEST, WIDEST = 0.5, 2.5
"""Width to height of a panel, at the extremes: beyond them a picture is drawn smaller."""


class Panel(NamedTuple):
    """A picture uint8 (H, W, 3), or a map (u, v) of values in 0..1, and what stands above it."""

    title: str
    content: ImageArray | FloatArray


def draw_panels(panels: Sequence[Panel], *, columns: int, colormap: str, title: str | None = None) -> "Figure":
    """Lay panels out in rows of `columns`, all of one height; maps are drawn as cells, uninterpolated."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    color_table(colormap)  # an unknown name is our error, not matplotlib's
    rows = -(-len(panels) // columns)
    aspects = [panel.content.shape[1] / panel.content.shape[0] for panel in panels]
    widths = [min(max(max(aspects[column::columns]), NARROWEST), WIDEST) for column in range(columns)]
    size = (PANEL_INCHES * sum(widths), (PANEL_INCHES + TITLE_INCHES) * rows + (TITLE_INCHES if title else 0))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, parse_math=False)
    grid = figure.add_gridspec(rows, columns, width_ratios=widths)
    for position, panel in enumerate(panels):
        axes = figure.add_subplot(grid[position])
        axes.set_title(panel.title, fontsize="medium", wrap=True, parse_math=False)  # a name may hold a $
        axes.set_axis_off()
        if panel.content.ndim == 3:
            axes.imshow(panel.content)
        else:
            axes.imshow(panel.content, cmap=colormap, vmin=0, vmax=1, interpolation="nearest")
    return figure


def render(figure: "Figure", dpi: int = 120) -> ImageArray:
    """Draw a figure into pixels, uint8 (H, W, 3)."""
    import numpy as np

    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
