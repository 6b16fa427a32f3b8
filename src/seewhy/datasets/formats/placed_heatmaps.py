"""The heatmaps of a row at the size of its image: normalized, and as masks."""

import numpy as np

from seewhy.datasets.readable_output import Row
from seewhy.images.geometry import Placement
from seewhy.images.normalization import normalize
from seewhy.types import FloatArray, ImageArray

PLACED_COLUMNS = ("width", "height", "heatmaps", "input_on_image", "heatmap_on_input")
"""The columns that a heatmap is placed by."""


def placement_of(row: Row) -> Placement:
    """Return where the heatmaps of a row lie on its image."""
    return Placement(
        (row["height"], row["width"]), tuple(row["input_on_image"].values()), tuple(row["heatmap_on_input"].values())
    )


def heatmap_bytes(row: Row, target: int, peak_quantile: float, side: int) -> ImageArray:
    """Return a normalized heatmap on a small copy of the image, uint8 (H, W); 255 is its maximum.

    Args:
        row: A row with `PLACED_COLUMNS`.
        target: The number of the target.
        peak_quantile: The quantile of the heatmap that becomes 255.
        side: The longest side of the copy, in pixels; the image is not enlarged.
    """
    placement = placement_of(row)
    scale = min(1.0, side / max(placement.image_size))
    height, width = (max(1, round(length * scale)) for length in placement.image_size)
    raw: FloatArray = np.asarray(row["heatmaps"][target], np.float32)[None]
    placed = placement.resized(height, width).place(normalize(raw, peak_quantile, "max"))[0]
    pixels: ImageArray = np.rint(placed * 255).astype(np.uint8)
    return pixels
