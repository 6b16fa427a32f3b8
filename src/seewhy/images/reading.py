"""Reading images: from files, bytes, PIL images and arrays to uint8 (H, W, 3), upright, opaque, RGB."""

import functools
import io
import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from seewhy import timing
from seewhy.errors import ImageError, ImageFormatError, ImageNotFoundError, ImageTooLargeError
from seewhy.images.decoding_work import excessive_work
from seewhy.images.read_ahead import READ_AHEAD, read_ahead
from seewhy.regular_files import FileTooLargeError, read_regular_file
from seewhy.representation import ShortRepr
from seewhy.timing import Phase
from seewhy.types import ImageArray


@final
@dataclass(frozen=True, repr=False)
class EncodedImage(ShortRepr):
    """The bytes of an image file that is part of something else, such as an archive or a table.

    Attributes:
        content: The bytes.
        name: The image's name in messages.
    """

    content: bytes
    name: str


ImageLike = str | os.PathLike[str] | Image.Image | ImageArray | EncodedImage

MAX_PIXELS = 80_000_000
"""The maximum number of pixels of an image.

Measured at the peak, in bytes a pixel: the array takes 3; reading takes 10 for JPEG and PNG, and 18 with transparency
or from WebP; drawing an overlay takes 10 more than the array.
"""

MAX_SIDE = 65_535
"""The maximum width and height of an image, in pixels: those of JPEG.

What is placed on an image takes memory for each row and each column, however few pixels there are.
"""

MAX_BYTES = 512_000_000
"""The maximum size of an image file: that of `MAX_PIXELS` pixels of 16-bit colour, not compressed."""

BAND_PIXELS = 250_000
"""The number of pixels of a large image that are copied at a time."""

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
"""The formats that are decoded. Pillow knows more, some of which start other programs (EPS) or are rarely tested."""

DAMAGE = (SyntaxError, ValueError, TypeError, RuntimeError, KeyError, IndexError, OverflowError, struct.error, EOFError)
"""The exceptions that Pillow's decoders raise for damaged files, besides OSError."""

GREY_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def read(source: ImageLike, least_side: int | None = None) -> ImageArray:
    """Read an image.

    Args:
        source: A path, a PIL image, or an array: uint8 (H, W, 3), or (H, W) for grey. Images are rotated according to
            their EXIF data, and transparent pixels are blended with white. Of an animation the first frame is read.
            16-bit grey is scaled to 8 bits.
        least_side: Decode JPEG files at a half, a quarter or an eighth of their size, at the smallest of these whose
            shorter side has at least so many pixels; None for their full size. Other sources keep theirs.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ImageNotFoundError: There is no file at the path.
        ImageFormatError: The file is not an image in one of `FORMATS`.
        ImageTooLargeError: The image has more than `MAX_PIXELS` pixels, a side of more than `MAX_SIDE`, or takes too
            much work to decode; or the file has more than `MAX_BYTES` bytes.
        ImageError: The file is damaged or is not a regular file, or the array has another shape or type.
    """
    if isinstance(source, Image.Image):
        _check_size(source, "the PIL image", MAX_PIXELS)
        return _pixels(source, "the PIL image")
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source), least_side)
    if isinstance(source, EncodedImage):
        return _decode(source.content, source.name, MAX_PIXELS, least_side)
    return _read_array(source)


def check_exists(source: ImageLike) -> None:
    """Raise ImageNotFoundError for a path at which there is nothing, without reading the image."""
    if not isinstance(source, (str, os.PathLike)):
        return
    try:
        os.stat(source)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(f"There is no image at {Path(source)}.") from error
    except (OSError, ValueError):
        return  # reading the image says why


def read_each(
    sources: Iterable[ImageLike], ahead: int = READ_AHEAD, least_side: int | None = None
) -> Iterator[ImageArray | ImageError]:
    """Read images in order, decoding files in threads a few images ahead.

    The next images are decoded while the model runs on the current ones, and only a few are held in memory.

    Args:
        sources: What `read` accepts, in any number.
        ahead: How many images are decoded ahead of the one that is wanted next.
        least_side: As for `read`.

    Returns:
        For each source, what `read` returns, or the error that it raises.
    """
    read_one = functools.partial(_read_or_error, least_side=least_side)
    return read_ahead(sources, read_one, is_slow=_is_encoded, size=_bytes_of, ahead=ahead)


def _is_encoded(source: ImageLike) -> bool:
    """Whether reading is worth a thread; the caller's objects are read in the caller's thread."""
    return isinstance(source, (str, os.PathLike, EncodedImage))


def _bytes_of(image: ImageArray | ImageError) -> int:
    return 0 if isinstance(image, ImageError) else image.nbytes


def _read_or_error(source: ImageLike, least_side: int | None) -> ImageArray | ImageError:
    try:
        return read(source, least_side)
    except ImageError as error:
        return error


def read_bytes(content: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> ImageArray:
    """Read an image from the bytes of a file, such as an upload, without writing to the disk.

    Args:
        content: The bytes of the file, which alone decide its format.
        name: The name of the image in error messages.
        max_pixels: The maximum number of pixels.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ImageFormatError: The content is not an image in one of `FORMATS`.
        ImageTooLargeError: The image has more than `max_pixels` pixels, a side of more than `MAX_SIDE`, or takes too
            much work to decode; it is not decoded.
        ImageError: The content is empty or damaged.
    """
    return _decode(content, name, max_pixels)


def _read_file(path: Path, least_side: int | None) -> ImageArray:
    try:
        content = read_regular_file(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is no image at {path}.") from error
    except FileTooLargeError as error:
        raise ImageTooLargeError(f"{path} is not read: {error}. Convert the image to another format.") from error
    except (OSError, ValueError) as error:  # ValueError: the path contains a null character
        raise _unreadable(str(path), error) from error
    return _decode(content, str(path), MAX_PIXELS, least_side)


@timing.phase(Phase.READING)
def _decode(content: bytes, name: str, max_pixels: int, least_side: int | None = None) -> ImageArray:
    """Decode an image file in one of `FORMATS`, unless that takes too much work."""
    if not content:
        raise _empty(name)
    if excess := excessive_work(content):
        raise ImageTooLargeError(f"{name} takes too much work to decode: it has {excess}. Save it again.")
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            _check_size(image, name, max_pixels)
            _reduce(image, least_side)
            return _pixels(image, name)
    except UnidentifiedImageError as error:
        raise ImageFormatError(f"{name} is not an image in a format SeeWhy reads ({', '.join(FORMATS)}).") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, str(error), max_pixels) from error
    except OSError as error:
        raise _unreadable(name, error) from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{name} takes more memory to decode than there is. Downscale it first.") from error
    except DAMAGE as error:
        raise ImageError(f"{name} is damaged: {error}.") from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the formats that the installed Pillow supports: some builds lack WEBP or AVIF."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _read_array(source: Any) -> ImageArray:
    if isinstance(source, Mapping):
        raise ImageError(
            f"A {type(source).__name__} is not an image; given {', '.join(map(repr, source))}. Samples of several "
            "images are explained by Explainer.explain, of a model with several inputs, and by nothing else."
        )
    try:
        array = np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on a GPU, or one that requires gradients
        raise ImageError(f"A {type(source).__name__} is not an image: {error}") from error
    if array.dtype == object:
        raise ImageError(
            f"A {type(source).__name__} is not an image; expected a path, a PIL image or a uint8 array (H, W, 3). "
            "Volumes, signals and videos are explained by Explainer.explain, for a model that takes them, and by "
            "nothing else."
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not is_image or array.size == 0:
        raise ImageError(
            f"An array of shape {array.shape} and type {array.dtype} is not an image; expected uint8 (H, W, 3) with "
            f"values 0 to 255.{_advice(array)} For arrays that are already preprocessed, use Explainer.heatmaps."
        )
    return np.ascontiguousarray(array if array.ndim == 3 else np.stack([array] * 3, axis=-1))


def _advice(array: NDArray[Any]) -> str:
    """Return how to make an image of an array that is none."""
    advice = []
    if array.ndim == 4:
        advice.append("It is a batch: give list(batch), and of a pair (images, labels) the images alone.")
    elif array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (3, 4):
        advice.append("Its channels are first: move them to the end, np.moveaxis(array, 0, -1).")
    elif array.ndim == 3 and array.shape[2] == 4:
        advice.append('It has four channels: for RGBA give PIL.Image.fromarray(array, "RGBA").')
    elif array.ndim == 1:
        advice.append("It may be the labels of a batch (images, labels): give the images alone.")
    if array.dtype.kind == "f" and array.ndim > 1:
        advice.append('Scale values of 0 to 1 by 255, (255 * array).astype("uint8").')
    if array.dtype.kind == "f" and (array.ndim == 1 or (array.ndim == 3 and 3 not in (array.shape[0], array.shape[2]))):
        advice.append("A volume or a signal is given as a seewhy.Volume or a seewhy.Signal.")
    return "".join(f" {sentence}" for sentence in advice)


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    """Raise ImageTooLargeError for an opened image that would take too much memory to decode."""
    if max(image.size) > MAX_SIDE:
        size = f"{image.width} x {image.height}"
        raise ImageTooLargeError(
            f"{name} is too long ({size} pixels); the limit is {MAX_SIDE:,} a side. Crop it first."
        )
    if image.width * image.height > max_pixels:
        raise _too_large(name, f"{image.width} x {image.height}", max_pixels)


def _reduce(image: Image.Image, least_side: int | None) -> None:
    """Let an opened JPEG file be decoded at a reduced size, which is not smaller than `least_side`; others stay."""
    if least_side is None:
        return
    scale = least_side / min(image.size)
    if scale < 1:
        image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def _pixels(image: Image.Image, name: str) -> ImageArray:
    """Decode an opened image to uint8 (H, W, 3)."""
    try:
        image.load()
        is_ppm = image.format == "PPM"
        image = _rotate_upright(image)
        if image.mode == "I" and is_ppm:
            return _read_array((np.asarray(image) >> 8).astype(np.uint8))  # 16-bit grey, which Pillow reads as 32-bit
        if image.mode in GREY_16_BIT:
            # Pillow's own conversion would clip every value above 255 to white.
            return _read_array((np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8))
        if image.mode in ("I", "F"):
            low, high = image.getextrema()
            raise ImageError(
                f"{name} has 32-bit values (mode {image.mode}) from {low:g} to {high:g}, whose range is unknown. "
                "Convert it to 8 bits; if the values are in 0..1, for example: "
                'PIL.Image.fromarray((255 * numpy.asarray(image)).astype("uint8")).'
            )
        image = on_white(image)
        return _to_array(image if image.mode == "RGB" else image.convert("RGB"))
    except (OSError, *DAMAGE) as error:
        raise ImageError(f"{name} is damaged: {error}.") from error


def on_white(image: Image.Image) -> Image.Image:
    """Return an image with its transparent pixels blended with white; one without any as it is."""
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))


def _to_array(image: Image.Image) -> ImageArray:
    """Return the pixels of an RGB image, which cannot be written to, as NumPy does.

    NumPy's own way, through bytes of the whole image, takes three times as long for large images, and twice the memory.
    """
    width, height = image.size
    if width * height <= 2 * BAND_PIXELS:
        return np.asarray(image)
    pixels = np.empty((height, width, 3), np.uint8)
    step = max(1, BAND_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    pixels.flags.writeable = False
    return pixels


def _rotate_upright(image: Image.Image) -> Image.Image:
    """Rotate an image according to its EXIF data; if these are damaged, leave it as stored."""
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image  # Pillow's function would copy it
        return ImageOps.exif_transpose(image)
    except (OSError, *DAMAGE):
        return image


def _too_large(name: str, size: str, limit: int) -> ImageError:
    return ImageTooLargeError(f"{name} has too many pixels ({size}); the limit is {limit:,}. Downscale it first.")


def _empty(name: str) -> ImageError:
    return ImageError(f"{name} is empty (0 bytes).")


def _unreadable(name: str, error: OSError | ValueError) -> ImageError:
    return ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.")
