"""Resizing images with Pillow, large ones a band of rows at a time."""

import math

import numpy as np
from PIL import Image

from seewhy.types import ImageArray

BAND_PIXELS = 250_000
"""The number of pixels of a large image that are given to Pillow at a time: a megabyte, for which it reuses memory."""

MAX_SUPPORT = 5
"""How far the filters reach around a pixel, in pixels of the smaller image: 3 for Lanczos, and none more than 5."""

Box = tuple[float, float, float, float]


def resize_image(image: ImageArray, size: tuple[int, int], resample: Image.Resampling, box: Box) -> Image.Image:
    """Resize a part of an image, with the values of `Image.resize`.

    Pillow filters the rows first, each by itself, and then the columns of what that gave. For a whole image of 12
    megapixels, getting memory for its copy, of four bytes a pixel, can take as long as the filter; bands reuse theirs.
    From 13.0 on, Pillow filters the columns first where the height loses more than twice as many pixels as the width.
    As what lies between is rounded, that gives other values, and such an image is resized as a whole; as is a part
    of which a side is kept, which Pillow filters along both axes or none.

    Args:
        image: uint8 (H, W, 3), or (H, W) for grey.
        size: (width, height) of the result, in pixels.
        resample: A filter that averages when shrinking; or NEAREST, which is applied to the image as a whole.
        box: (left, top, right, bottom) of the part, in pixels.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = box
    is_small, columns_first = height * width <= 2 * BAND_PIXELS, height - size[1] > 2 * (right - left - size[0])
    keeps_side = right - left == size[0] or bottom - top == size[1]
    if is_small or columns_first or keeps_side or resample == Image.Resampling.NEAREST:
        return Image.fromarray(image).resize(size, resample, box=box)
    reach = math.ceil(MAX_SUPPORT * max(1, (bottom - top) / size[1])) + 1
    first, last = max(0, math.floor(top) - reach), min(height, math.ceil(bottom) + reach)
    rows = np.zeros((height, size[0], *image.shape[2:]), np.uint8)  # those before `first` and from `last` are not read
    step = max(1, BAND_PIXELS // width)
    for start in range(first, last, step):
        band = Image.fromarray(image[start : min(start + step, last)])
        resized = band.resize((size[0], band.height), resample, box=(left, 0, right, band.height))
        rows[start : start + band.height] = np.asarray(resized)
        # Where Pillow keeps memory, the next image gets what was freed last: the band, that of a band again.
        del resized, band
    return Image.fromarray(rows).resize(size, resample, box=(0, top, size[0], bottom))
