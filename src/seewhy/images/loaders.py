"""The images of a PyTorch `DataLoader`, a `tf.data.Dataset`, a Hugging Face `datasets.Dataset`, or any iterable.

No framework is imported: an object is recognized by the module and the name of its classes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeGuard, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.errors import InputError, OptionError, did_you_mean, short_repr
from seewhy.images.reading import EncodedImage, ImageLike

TORCH_LOADERS = (("torch.utils.data", "DataLoader"),)
TORCH_DATASETS = (("torch.utils.data", "Dataset"),)
TENSORFLOW_DATASETS = (("tensorflow", "DatasetV2"),)
HUGGING_FACE_DATASETS = (("datasets", "Dataset"), ("datasets", "IterableDataset"))

IMAGE_COLUMNS = ("image", "images", "img", "pixel_values", "pixels", "photo", "jpg", "png")
"""The names under which images are looked for, in this order, where none is given."""

Column = str | int

Batching = Literal["stacked", "custom", "unknown", "none"]
"""How the elements of a data set hold samples: stacked by PyTorch's `default_collate`; collated by the user's function;
in batches or one by one; or one by one."""

Kind = Literal["torch", "tensorflow", "hugging_face"]


def images_of(images: ImageLike | Iterable[Any], column: Column | None = None) -> Iterator[ImageLike]:
    """Yield the images of an iterable, one by one.

    Args:
        images: Images; or one image; a PyTorch `DataLoader` or data set, or a `tf.data.Dataset`, whose elements are
            images, batches of images, or tuples or dicts with them; or a Hugging Face data set.
        column: The key or the position of the images in an element. None takes the first item of a tuple, and of a
            dict or a data set with columns the one that holds images. A list of images is a batch.

    Raises:
        OptionError: The column does not exist, or none holds images; or `images` is no iterable.
        InputError: A batch holds values that are no pixels.
    """
    if _is_image(images):
        return iter([images])
    if hasattr(images, "__array__") and not isinstance(images, np.ndarray) and hasattr(images, "shape"):
        images = _array(images)  # a tensor
    if isinstance(images, np.ndarray) and images.ndim < 4:
        return iter([images])
    images = _checked_iterable(images)
    if _is_one_of(images, HUGGING_FACE_DATASETS):
        return _of_hugging_face(images, column)
    if (loader := _loader(images)) is not None:
        return _of_elements(loader[0], column, *loader[1:])
    if column is not None:
        return (_item(element, column, "none") for element in images)
    return iter(images)  # reading an element says what is wrong with it


def _checked_iterable(images: Any) -> Iterable[Any]:
    if isinstance(images, Mapping):
        names = ", ".join(map(str, images))
        raise OptionError(f"images is a {type(images).__name__} of {names}; expected images. Give one of its values.")
    if not hasattr(images, "__iter__") and not hasattr(images, "__getitem__"):
        raise OptionError(f"images is {short_repr(images)}; expected an image, or an iterable of images.")
    iterable: Iterable[Any] = images
    return iterable


def _loader(images: Any) -> tuple[Iterable[Any], Kind, Batching] | None:
    """Return the elements of a loader of TensorFlow or PyTorch, and how they hold images; None for anything else."""
    if _is_one_of(images, TENSORFLOW_DATASETS):
        return images, "tensorflow", "unknown"
    if _is_one_of(images, TORCH_LOADERS):
        return images, "torch", _batching(images)
    if _is_one_of(images, TORCH_DATASETS):
        return _in_order(images), "torch", "none"
    return None


def _is_one_of(thing: object, kinds: Sequence[tuple[str, str]]) -> bool:
    return any(
        kind.__name__ == name and (kind.__module__ == module or kind.__module__.startswith(f"{module}."))
        for kind in type(thing).__mro__
        for module, name in kinds
    )


def _batching(loader: Any) -> Batching:
    """Return how a `DataLoader` makes an element of several samples."""
    if loader.batch_sampler is None and loader.batch_size is None:
        return "none"
    return "stacked" if getattr(loader.collate_fn, "__name__", "") == "default_collate" else "custom"


def _in_order(dataset: Any) -> Iterable[Any]:
    """Return the samples of a data set of PyTorch: those of 0 to its length, which nothing else ends."""
    if hasattr(type(dataset), "__iter__") or not hasattr(type(dataset), "__len__"):
        samples: Iterable[Any] = dataset
        return samples
    return (dataset[index] for index in range(len(dataset)))


def _of_hugging_face(dataset: Any, column: Column | None) -> Iterator[ImageLike]:
    """Yield the images of a Hugging Face data set, as the bytes of their files where these are kept."""
    features = dataset.features or {}
    is_image = {name: type(feature).__name__ == "Image" for name, feature in features.items()}
    if column is None and any(is_image.values()):
        column = next(name for name, holds_images in is_image.items() if holds_images)
    if column is not None and features and column not in features:
        raise OptionError(_no_column(column, features))
    if column is None or not is_image.get(str(column), False):
        return _of_elements(dataset, column, "hugging_face", "none")
    encoded = dataset.cast_column(column, type(features[str(column)])(decode=False))
    encoded = encoded.with_format(None) if hasattr(encoded, "with_format") else encoded
    return (_encoded(row[column], f"row {number}") for number, row in enumerate(encoded))


def _encoded(value: Any, name: str) -> ImageLike:
    if isinstance(value, Mapping) and value.get("bytes") is not None:
        return EncodedImage(value["bytes"], value.get("path") or name)
    if isinstance(value, Mapping) and value.get("path") is not None:
        return str(value["path"])
    return EncodedImage(b"", name)  # reading it says that it is empty


def _of_elements(elements: Iterable[Any], column: Column | None, kind: Kind, batching: Batching) -> Iterator[ImageLike]:
    pixels = PixelRange()
    for element in elements:
        for images in _parts(_item(element, column, batching)):
            if _is_image(images):
                yield images
            else:
                yield from _rows(_array(images), pixels, kind, batching)


def _parts(images: Any) -> Iterable[Any]:
    """Return the images of a batch that was not stacked one by one; anything else as it is."""
    if hasattr(images, "row_splits"):  # a ragged batch of TensorFlow: images of several sizes
        return (image.to_tensor() if hasattr(image, "row_splits") else image for image in images)
    if isinstance(images, (list, tuple)) and not _holds_numbers(images):
        return images
    return (images,)


def _is_image(thing: Any) -> TypeGuard[str | os.PathLike[str] | Image.Image | EncodedImage]:
    return isinstance(thing, (str, os.PathLike, Image.Image, EncodedImage))


def _holds_numbers(values: Any) -> bool:
    """Whether nested lists hold numbers, as Hugging Face's data sets keep pixels."""
    while isinstance(values, (list, tuple)) and values:
        values = values[0]
    return isinstance(values, (int, float))


def _item(element: Any, column: Column | None, batching: Batching) -> Any:
    """Return the images of an element of a loader."""
    if isinstance(element, Mapping):
        if column is None:
            column = next((name for name in IMAGE_COLUMNS if name in element), None)
        if column is None or column not in element:
            raise OptionError(_no_column(column, element))
        return element[column]
    if isinstance(element, (tuple, list)):
        if column is None and _is_batch(element, batching):
            return element
        position = 0 if column is None else column
        if not isinstance(position, int) or not -len(element) <= position < len(element):
            raise OptionError(f"column is {short_repr(column)}; an element has positions 0 to {len(element) - 1}.")
        return element[position]
    if column is not None:
        raise OptionError(
            f"column is {short_repr(column)}, and an element is a {type(element).__name__}. Leave it out."
        )
    return element


def _is_batch(element: Sequence[Any], batching: Batching) -> bool:
    """Whether a list is a batch of images that were not stacked, and not an image with its label."""
    if batching not in ("stacked", "custom") or not isinstance(element, list):
        return False
    if all(map(_is_image, element)):
        return True
    return batching == "custom" and all(getattr(each, "ndim", None) == 3 for each in element)


def _no_column(column: object, columns: Iterable[Any]) -> str:
    names = [str(name) for name in columns]
    which = "No column holds images" if column is None else f"There is no column {short_repr(column)}"
    return f"{which}: there are {', '.join(names)}.{did_you_mean(str(column), names)} Name one with column=."


def _array(images: Any) -> NDArray[Any]:
    if hasattr(images, "detach"):
        images = images.detach().cpu()  # a tensor of PyTorch
        images = images.float() if str(images.dtype) == "torch.bfloat16" else images  # which NumPy does not have
    try:
        array = np.asarray(images)
    except ValueError as error:  # nested lists of different lengths
        raise InputError(f"A {type(images).__name__} is no image and no batch of images: {error}.") from error
    if array.dtype.kind in "SU" or (array.dtype.kind == "O" and isinstance(array.reshape(-1)[:1].tolist()[0], bytes)):
        raise InputError(
            "The elements are strings; expected pixels. Decode the files, as with tf.io.decode_image; or give their "
            "paths as a list of str."
        )
    return array


def _rows(array: NDArray[Any], pixels: "PixelRange", kind: Kind, batching: Batching) -> Iterator[ImageLike]:
    """Yield the images (H, W, 3) of a batch, or the one of an element that is not batched."""
    if array.ndim == 3 and batching == "stacked":
        batch = array  # grey images (H, W)
    elif array.ndim == 3 and array.shape[0] == 3 != array.shape[2] != 1 and kind == "tensorflow":
        raise InputError(
            f"An element has the shape {array.shape}: three grey images, or one image with its channels first. Give "
            "images an axis of channels, the last one: data_set.map(lambda image: image[..., None])."
        )
    else:
        batch = array if array.ndim == 4 else array[None]
    if batch.ndim == 4 and batch.shape[1] in (1, 3) and (kind == "torch" or batch.shape[-1] not in (1, 3)):
        batch = np.moveaxis(batch, 1, -1)
    yield from pixels.as_bytes(batch)


@final
class PixelRange:
    """Turns batches of pixels into bytes: floating-point numbers of 0..1, as of `ToTensor`, or numbers of 0..255."""

    def __init__(self) -> None:
        self._maximum: int | None = None

    def as_bytes(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Return pixels as uint8; the first floating-point batch that is not black tells their range.

        Values that are no numbers are returned as they are: reading them says what is wrong.

        Raises:
            InputError: The values are not in 0..1 or 0..255, or not in the range of earlier batches.
        """
        if batch.dtype == np.uint8 or batch.dtype.kind not in "fiu":
            return batch
        is_float = batch.dtype.kind == "f"
        low, high = float(batch.min(initial=0)), float(batch.max(initial=0))
        if self._maximum is None and high > 0 and is_float:
            self._maximum = 1 if high <= 1 else 255
        maximum = (self._maximum or 1) if is_float else 255
        if not (low >= 0 and high <= maximum):  # also false for NaN
            earlier = " Earlier batches were in 0..1." if is_float and self._maximum == 1 else ""
            raise InputError(
                f"A batch has values from {low:g} to {high:g}; expected pixels in 0..255 or in 0..1.{earlier} Give the "
                "images before they are normalized; the classifier preprocesses them. For arrays that are already "
                "preprocessed, use Explainer.heatmaps."
            )
        return np.rint(batch * (255 / maximum)).astype(np.uint8)
