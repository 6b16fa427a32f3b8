"""The images that a notebook stores of results: small, whatever the result holds."""

from typing import TYPE_CHECKING

from seewhy.images.figure import render
from seewhy.images.style import Style
from seewhy.results import figures
from seewhy.types import ImageArray
from seewhy.viewer.photos import jpeg_within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGE_SIDE, IMAGE_BYTES = 800, 24_000
"""The largest image of an explanation, which a notebook stores beside the viewer; the side is in pixels."""
FIGURE_SIDE, FIGURE_BYTES = 1600, 100_000
"""The largest image of a figure, which a notebook stores alone."""
MAX_TARGETS = 9
"""How many targets of an explanation are drawn."""
MAX_PANELS = 24
"""How many overlays of a comparison are drawn."""


def notebook_image(explanation: figures.Drawable, count: int) -> ImageArray:
    """Return the overlay of the target, or the grid of all, uint8 (H, W, 3).

    Args:
        explanation: What is drawn: a thumbnail with the first targets.
        count: The number of all targets, which the title of the grid tells if not all are drawn.
    """
    drawn = len(explanation.targets)
    if drawn == 1:
        return explanation.draw(0, Style())
    title = None if drawn == count else f"The first {drawn} of {count:,} targets"
    return render(figures.grid(explanation, Style(), title))


def figure_jpeg(figure: "Figure") -> bytes:
    """Return a figure as a JPEG that is small enough to be stored in a notebook."""
    return jpeg_within(render(figure), FIGURE_SIDE, FIGURE_BYTES)
