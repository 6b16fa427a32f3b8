"""The images that a notebook stores of results: small, whatever the result holds."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from seewhy.images.figure import render
from seewhy.images.style import Style
from seewhy.results import figures
from seewhy.types import ImageArray
from seewhy.viewer.photos import jpeg_within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seewhy.results.explanation import Explanation

IMAGE_SIDE, IMAGE_BYTES = 800, 24_000
"""The largest image of an explanation, which a notebook stores beside the viewer; the side is in pixels."""
FIGURE_SIDE, FIGURE_BYTES = 1600, 100_000
"""The largest image of a figure, which a notebook stores alone."""
MAX_TARGETS = 9
"""How many targets of an explanation are drawn."""
MAX_PANELS = 24
"""How many overlays of a comparison are drawn."""


def notebook_image(explanation: "Explanation") -> ImageArray:
    """Return the overlay of the target, or the grid of the first targets, on a scaled-down image, uint8 (H, W, 3).

    On the whole image, drawing and blending would take much longer than is worth while for a small one.
    """
    small = thumbnail(explanation, MAX_TARGETS)
    if len(small.targets) == 1:
        return small.overlay(0)
    count = len(explanation.targets)
    title = None if count <= MAX_TARGETS else f"The first {MAX_TARGETS} of {count:,} targets"
    return render(figures.grid(small, Style(), title))


def thumbnail(explanation: "Explanation", targets: int) -> "Explanation":
    """Return an explanation of a scaled-down image, and of the first targets only."""
    photo = Image.fromarray(explanation.image)
    photo.thumbnail((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.LANCZOS)
    return replace(
        explanation,
        image=np.asarray(photo),
        placement=explanation.placement.resized(photo.height, photo.width),
        heatmaps=explanation.heatmaps[:targets],
        targets=explanation.targets[:targets],
        aliases=explanation.aliases[:targets],
    )


def figure_jpeg(figure: "Figure") -> bytes:
    """Return a figure as a JPEG that is small enough to be stored in a notebook."""
    return jpeg_within(render(figure), FIGURE_SIDE, FIGURE_BYTES)
