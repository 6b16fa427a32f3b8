"""From whatever a user calls an image to uint8 (H, W, 3): upright, opaque, RGB."""

import functools
import io
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from seewhy import timing
from seewhy.errors import ImageError, ImageFormatError, ImageNotFoundError, ImageTooLargeError
from seewhy.timing import Phase
from seewhy.types import ImageArray

ImageLike = str | os.PathLike[str] | Image.Image | ImageArray

READERS = 2
"""How many threads decode images."""

READ_AHEAD = 4
"""How many images may be decoded before they are wanted."""

MAX_PIXELS = 80_000_000
"""The most pixels an image may have: decoded they take a quarter of a gigabyte."""

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
"""What is decoded: Pillow knows more, some of which starts other programs (EPS) or is seldom tested."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
"""What is taken for an image when a folder is searched."""

DAMAGE = (SyntaxError, ValueError, TypeError, RuntimeError, KeyError, IndexError, OverflowError, struct.error, EOFError)
"""What Pillow's decoders raise on damaged files, besides OSError."""

GREY_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def read(source: ImageLike) -> ImageArray:
    """Read an image.

    Args:
        source: A path, a PIL image, or an array: uint8 (H, W, 3), or (H, W) for grey. Images are turned upright
            as their EXIF data say, put on white where they are transparent, and cut to the first of several frames.
            16-bit grey is scaled to 8 bits.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ImageNotFoundError: There is no file at the path.
        ImageFormatError: The file is not an image in one of `FORMATS`.
        ImageTooLargeError: The image has more than `MAX_PIXELS` pixels.
        ImageError: The file is damaged; or the array has another shape or type.
    """
    if isinstance(source, Image.Image):
        return _pixels(source, "the PIL image", MAX_PIXELS)
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source))
    return _read_array(source)


def read_each(sources: Iterable[ImageLike]) -> Iterator[ImageArray | ImageError]:
    """Read images in their order, those of files a few ahead of time and side by side.

    So the next are decoded while the model is busy with these, and memory holds no more than a few.

    Returns:
        What `read` returns for each, or the error that it raises.
    """
    with ThreadPoolExecutor(READERS) as readers:
        waiting: deque[Future[ImageArray | ImageError]] = deque()
        for source in sources:
            waiting.append(_reading(source, readers))
            if len(waiting) > READ_AHEAD:
                yield _read_by_now(waiting.popleft())
        while waiting:
            yield _read_by_now(waiting.popleft())


def _reading(source: ImageLike, readers: ThreadPoolExecutor) -> "Future[ImageArray | ImageError]":
    if isinstance(source, (str, os.PathLike)):
        return readers.submit(_read_or_error, source)
    done: Future[ImageArray | ImageError] = Future()  # the caller's objects are left to the caller's thread
    done.set_result(_read_or_error(source))
    return done


@timing.phase(Phase.AWAITING_IMAGES)
def _read_by_now(reading: "Future[ImageArray | ImageError]") -> ImageArray | ImageError:
    return reading.result()


def _read_or_error(source: ImageLike) -> ImageArray | ImageError:
    try:
        return read(source)
    except ImageError as error:
        return error


def read_bytes(content: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> ImageArray:
    """Read an image from the bytes of a file, such as one that was sent; nothing is written to the disk.

    Args:
        content: What the file holds; its format is told by this alone, whatever the name.
        name: What the image is called in messages.
        max_pixels: The most pixels it may have.

    Returns:
        uint8 (H, W, 3), as `read` does.

    Raises:
        ImageFormatError: It is not an image in one of `FORMATS`.
        ImageTooLargeError: It has more than `max_pixels` pixels; they are not decoded.
        ImageError: It is empty or damaged.
    """
    if not content:
        raise _empty(name)
    return _decode(io.BytesIO(content), name, max_pixels)


def find(path: str) -> list[Path]:
    """Turn a path, a folder or a glob into the paths of images, sorted.

    A path that names a single file is passed on as it is, also where nothing is there: reading it will tell.

    Raises:
        ImageNotFoundError: A folder or a glob holds no image.
        ImageError: A folder cannot be searched, or a glob is not well formed.
    """
    try:
        if Path(path).is_dir():
            found = [each for each in Path(path).iterdir() if each.suffix.lower() in SUFFIXES and each.is_file()]
        elif any(sign in path for sign in "*?[") and not Path(path).exists():
            root = Path(Path(path).anchor)
            found = [each for each in root.glob(str(Path(path).relative_to(root))) if each.is_file()]
        else:
            return [Path(path)]
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise ImageError(f"{path} cannot be searched: {getattr(error, 'strerror', None) or error}.") from error
    if not found:
        raise ImageNotFoundError(f"{path} holds no images ({', '.join(SUFFIXES)}).")
    return sorted(found)


def _read_file(path: Path) -> ImageArray:
    try:
        if path.stat().st_size == 0:
            raise _empty(str(path))
        return _decode(path, str(path), MAX_PIXELS)
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is no image at {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise _unreadable(str(path), error) from error


@timing.phase(Phase.READING)
def _decode(file: Path | BinaryIO, name: str, max_pixels: int) -> ImageArray:
    """Decode an image in one of the formats."""
    try:
        with Image.open(file, formats=_formats()) as image:
            return _pixels(image, name, max_pixels)
    except UnidentifiedImageError as error:
        raise ImageFormatError(f"{name} is not an image in a format SeeWhy reads ({', '.join(FORMATS)}).") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, str(error), max_pixels) from error
    except OSError as error:
        raise _unreadable(name, error) from error
    except DAMAGE as error:
        raise ImageError(f"{name} is damaged: {error}.") from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this build of Pillow has; some are built without WEBP or AVIF."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _read_array(source: Any) -> ImageArray:
    array = np.asarray(source)
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not is_image or array.size == 0:
        raise ImageError(
            f"An array of shape {array.shape} and type {array.dtype} is not an image; expected uint8 (H, W, 3) with "
            "values 0 to 255. For arrays that are already a model's input use Explainer.heatmaps."
        )
    return np.ascontiguousarray(array if array.ndim == 3 else np.stack([array] * 3, axis=-1))


def _pixels(image: Image.Image, name: str, max_pixels: int) -> ImageArray:
    """Decode an opened image."""
    if image.width * image.height > max_pixels:
        raise _too_large(name, f"{image.width} x {image.height}", max_pixels)
    try:
        image.load()
        is_ppm = image.format == "PPM"
        image = _upright(image)
        if image.mode == "I" and is_ppm:
            return _read_array((np.asarray(image) >> 8).astype(np.uint8))  # 16-bit grey, which Pillow reads as 32-bit
        if image.mode in GREY_16_BIT:
            # Pillow's own conversion would cut every value above 255 to white.
            return _read_array((np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise ImageError(f"{name} holds 32-bit values (mode {image.mode}), whose black and white are not known.")
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return np.asarray(image.convert("RGB"))
    except (OSError, *DAMAGE) as error:
        raise ImageError(f"{name} is damaged: {error}.") from error


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF data say; where these are damaged, it is shown as it was stored."""
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, *DAMAGE):
        return image


def _too_large(name: str, size: str, limit: int) -> ImageError:
    return ImageTooLargeError(f"{name} has too many pixels ({size}); the limit is {limit:,}. Shrink it first.")


def _empty(name: str) -> ImageError:
    return ImageError(f"{name} is empty (0 bytes).")


def _unreadable(name: str, error: OSError | ValueError) -> ImageError:
    return ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.")
