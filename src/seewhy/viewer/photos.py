"""Photos: copies of images that are small enough to be carried in a page, as data: URLs."""

import base64
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from seewhy.images.writing import image_writer
from seewhy.types import ImageArray


class PhotoLimits(NamedTuple):
    """The largest size of a photo.

    Attributes:
        side: The longer side in pixels; larger images are scaled down.
        png_bytes: A photo of at most this size as PNG is stored without loss; any other becomes a JPEG.
        jpeg_bytes: The largest size of a JPEG; None for any, at high quality.
    """

    side: int
    png_bytes: int
    jpeg_bytes: int | None = None


ONE = PhotoLimits(4096, 1_000_000)
FEW = PhotoLimits(2048, 300_000)
MANY = PhotoLimits(1024, 100_000)
HUNDREDS = PhotoLimits(640, 40_000)

QUALITIES = (92, 85, 75, 65, 50)
"""The qualities of a JPEG that are tried, the best first."""


def limits_for(images: int) -> PhotoLimits:
    """Return limits that keep a page of this many photos small enough for a browser (a thousand: 120 MB)."""
    if images == 1:
        return ONE
    if images <= 20:
        return FEW
    return MANY if images <= 200 else HUNDREDS


def photo_url(image: ImageArray, limits: PhotoLimits) -> str:
    """Return an image, uint8 (H, W, 3), as a data: URL with a PNG or a JPEG."""
    photo = Image.fromarray(image)
    photo.thumbnail((limits.side, limits.side), Image.Resampling.LANCZOS)
    if photo.width * photo.height <= limits.png_bytes:  # a PNG seldom has fewer bytes than pixels
        png = _encoded(photo, ".png")
        if len(png) <= limits.png_bytes:
            return _data_url(png, "image/png")
    if limits.jpeg_bytes is not None:
        return _data_url(jpeg_within(np.asarray(photo), limits.side, limits.jpeg_bytes), "image/jpeg")
    return _data_url(_encoded(photo, ".jpg"), "image/jpeg")


def jpeg_within(image: ImageArray, side: int, max_bytes: int) -> bytes:
    """Return an image as a JPEG of at most this size: first its quality is lowered, then it is scaled down.

    Args:
        image: uint8 (H, W, 3).
        side: The largest length of its longer side, in pixels.
        max_bytes: At least 2,000, which a JPEG of a single pixel does not reach.
    """
    photo = Image.fromarray(image)
    while True:
        photo.thumbnail((side, side), Image.Resampling.LANCZOS)
        for quality in QUALITIES:
            file = io.BytesIO()
            photo.save(file, format="JPEG", quality=quality, optimize=True)
            if file.tell() <= max_bytes:
                return file.getvalue()
        side = max(photo.size) * 3 // 4


def _encoded(photo: Image.Image, suffix: str) -> bytes:
    file = io.BytesIO()
    image_writer(np.asarray(photo), suffix)(file)
    return file.getvalue()


def _data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
