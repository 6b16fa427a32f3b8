"""Figures: titled panels side by side, drawn without pyplot and so without its global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from seewhy.images.overlay import color_table
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_INCHES = 3.2


class Panel(NamedTuple):
    """A picture uint8 (H, W, 3), or a map (u, v) of values in 0..1, and what stands above it."""

    title: str
    content: ImageArray | FloatArray


def draw_panels(panels: Sequence[Panel], *, columns: int, colormap: str, title: str | None = None) -> "Figure":
    """Lay panels out in rows of `columns`; maps are drawn as cells, uninterpolated."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    color_table(colormap)  # an unknown name is our error, not matplotlib's
    rows = -(-len(panels) // columns)
    height, width = panels[0].content.shape[:2]
    panel_height = PANEL_INCHES * min(max(height / width, 0.4), 2.5) + 0.4  # room for the title
    figure = Figure(figsize=(PANEL_INCHES * columns, panel_height * rows + (0.4 if title else 0)), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title)
    for position, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, position)
        axes.set_title(panel.title, fontsize="medium", wrap=True)
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
