"""The images of a PyTorch `DataLoader`, a `tf.data.Dataset`, a Hugging Face `datasets.Dataset`, or any iterable.

No framework is imported: an object is recognized by the module and the name of its classes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.errors import InputError, OptionError, did_you_mean, short_repr
from seewhy.images.reading import EncodedImage, ImageLike

TORCH_LOADERS = (("torch.utils.data", "DataLoader"), ("torch.utils.data", "Dataset"))
TENSORFLOW_DATASETS = (("tensorflow", "DatasetV2"),)
HUGGING_FACE_DATASETS = (("datasets", "Dataset"), ("datasets", "IterableDataset"))

IMAGE_COLUMNS = ("image", "images", "img", "pixel_values", "pixels", "photo", "jpg", "png")
"""The names under which images are looked for, in this order, where none is given."""

Column = str | int


def images_of(images: ImageLike | Iterable[Any], column: Column | None = None) -> Iterator[ImageLike]:
    """Yield the images of an iterable, one by one.

    Args:
        images: Images; or one image; a PyTorch `DataLoader` or data set, or a `tf.data.Dataset`, whose elements are
            images, batches of images, or tuples or dicts with them; or a Hugging Face data set.
        column: The key or the position of the images in an element. None takes the first item of a tuple, and of a
            dict or a data set with columns the one that holds images.

    Raises:
        OptionError: The column does not exist, or none holds images.
        InputError: A batch holds values that are no pixels.
    """
    if isinstance(images, (str, os.PathLike, Image.Image, EncodedImage)):
        return iter([images])
    if isinstance(images, np.ndarray) and images.ndim < 4:
        return iter([images])
    if _is_one_of(images, HUGGING_FACE_DATASETS):
        return _of_hugging_face(images, column)
    if _is_one_of(images, TENSORFLOW_DATASETS):
        return _of_batches(images, column, is_channels_first=False)
    if _is_one_of(images, TORCH_LOADERS):
        return _of_batches(images, column, is_channels_first=True)
    if column is not None:
        return (_item(element, column) for element in images)
    return iter(images)  # reading an element says what is wrong with it


def _is_one_of(thing: object, kinds: Sequence[tuple[str, str]]) -> bool:
    return any(
        kind.__name__ == name and (kind.__module__ == module or kind.__module__.startswith(f"{module}."))
        for kind in type(thing).__mro__
        for module, name in kinds
    )


def _of_hugging_face(dataset: Any, column: Column | None) -> Iterator[ImageLike]:
    """Yield the images of a Hugging Face data set, as the bytes of their files where these are kept."""
    features = dataset.features or {}
    is_image = {name: type(feature).__name__ == "Image" for name, feature in features.items()}
    if column is None and any(is_image.values()):
        column = next(name for name, holds_images in is_image.items() if holds_images)
    if column is not None and features and column not in features:
        raise OptionError(_no_column(column, features))
    if column is None or not is_image.get(str(column), False):
        return _of_batches(dataset, column, is_channels_first=False)
    encoded = dataset.cast_column(column, type(features[str(column)])(decode=False))
    encoded = encoded.with_format(None) if hasattr(encoded, "with_format") else encoded
    return (_encoded(row[column], f"row {number}") for number, row in enumerate(encoded))


def _encoded(value: Any, name: str) -> ImageLike:
    if isinstance(value, Mapping) and value.get("bytes") is not None:
        return EncodedImage(value["bytes"], value.get("path") or name)
    if isinstance(value, Mapping) and value.get("path") is not None:
        return str(value["path"])
    return EncodedImage(b"", name)  # reading it says that it is empty


def _of_batches(elements: Iterable[Any], column: Column | None, *, is_channels_first: bool) -> Iterator[ImageLike]:
    pixels = PixelRange()
    for element in elements:
        images = _item(element, column)
        if isinstance(images, (list, tuple)) and not all(isinstance(value, (int, float)) for value in images):
            yield from images  # of a batch that was not stacked
        elif isinstance(images, (str, os.PathLike, Image.Image)):
            yield images
        else:
            yield from _rows(_array(images), pixels, is_channels_first=is_channels_first)


def _item(element: Any, column: Column | None) -> Any:
    """Return the images of an element of a loader."""
    if isinstance(element, Mapping):
        if column is None:
            column = next((name for name in IMAGE_COLUMNS if name in element), None)
        if column is None or column not in element:
            raise OptionError(_no_column(column, element))
        return element[column]
    if isinstance(element, (tuple, list)):
        position = 0 if column is None else column
        if not isinstance(position, int) or not -len(element) <= position < len(element):
            raise OptionError(f"column is {short_repr(column)}; an element has positions 0 to {len(element) - 1}.")
        return element[position]
    if column is not None:
        raise OptionError(
            f"column is {short_repr(column)}, and an element is a {type(element).__name__}. Leave it out."
        )
    return element


def _no_column(column: object, columns: Iterable[Any]) -> str:
    names = [str(name) for name in columns]
    which = "No column holds images" if column is None else f"There is no column {short_repr(column)}"
    return f"{which}: there are {', '.join(names)}.{did_you_mean(str(column), names)} Name one with column=."


def _array(images: Any) -> NDArray[Any]:
    if hasattr(images, "detach"):
        images = images.detach().cpu()  # a tensor of PyTorch
    return np.asarray(images)


def _rows(array: NDArray[Any], pixels: "PixelRange", *, is_channels_first: bool) -> Iterator[ImageLike]:
    """Yield the images (H, W, 3) of a batch, or the one of an element that is not batched."""
    batch = array if array.ndim == 4 else array[None]
    if batch.ndim == 4 and batch.shape[-1] not in (1, 3) and batch.shape[1] in (1, 3):
        is_channels_first = True
    if batch.ndim == 4 and is_channels_first and batch.shape[1] in (1, 3):
        batch = np.moveaxis(batch, 1, -1)
    yield from batch if batch.dtype.kind != "f" else pixels.as_bytes(batch)


@final
class PixelRange:
    """Turns batches of floating-point pixels into bytes: all of 0..1, as of `ToTensor`, or all of 0..255."""

    def __init__(self) -> None:
        self._maximum: int | None = None

    def as_bytes(self, batch: NDArray[Any]) -> NDArray[np.uint8]:
        """Return pixels as uint8; the first batch that is not black tells their range.

        Raises:
            InputError: The values are not in 0..1 or 0..255, or not in the range of earlier batches.
        """
        low, high = float(batch.min(initial=0)), float(batch.max(initial=0))
        if self._maximum is None and high > 0:
            self._maximum = 1 if high <= 1 else 255
        if not (low >= 0 and high <= (self._maximum or 1)):  # also false for NaN
            earlier = "" if self._maximum in (None, 255) else " Earlier batches were in 0..1."
            raise InputError(
                f"A batch has values from {low:g} to {high:g}; expected pixels in 0..255 or in 0..1.{earlier} Give the "
                "images before they are normalized; the classifier preprocesses them. For arrays that are already "
                "preprocessed, use Explainer.heatmaps."
            )
        return np.rint(batch * (255 / (self._maximum or 1))).astype(np.uint8)
