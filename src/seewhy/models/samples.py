"""Samples of models with several inputs: images, and values such as vectors and ids, by name or by position."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.errors import InputError, ModelError, OptionError, did_you_mean, short_repr
from seewhy.frameworks import Framework
from seewhy.frameworks.structures import InputBatch, leaf_shapes, leaves, map_tree
from seewhy.images.geometry import Placement
from seewhy.images.reading import EncodedImage, ImageLike, read
from seewhy.models.classifier_settings import ClassifierSettings
from seewhy.models.preprocessing import CHANNELS, Preprocessing
from seewhy.recordings.recording import Signal, Video, Volume
from seewhy.representation import ShortRepr, listed
from seewhy.types import ImageArray

Sample = Mapping[str, Any] | Sequence[Any]
"""What a model with several inputs is given once: images and other values, by the inputs' names or in their order.

Values that are no images have no batch axis, and go in as they are.
"""

Setting = TypeVar("Setting")


@final
@dataclass(frozen=True, repr=False)
class ImageInput(ShortRepr):
    """The images of one input, one for each sample.

    Attributes:
        leaf: The position of the input among the arrays of the batch.
        sources: What the caller gave.
        pixels: The decoded images, uint8 (H, W, 3).
        placements: Which part of each image the input shows.
    """

    leaf: int
    sources: tuple[ImageLike, ...]
    pixels: tuple[ImageArray, ...]
    placements: tuple[Placement, ...]


@final
@dataclass(frozen=True, repr=False)
class SampleInputs(ShortRepr):
    """A batch for a model with several inputs, and its images.

    Attributes:
        values: (N, ...) for each input, in the structure that the model takes.
        images: The images of each input that is given images, by its name, in the order of the inputs.
        others: For each sample the values of the other inputs, by name.
    """

    values: InputBatch
    images: Mapping[str, ImageInput]
    others: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.others)


@dataclass(frozen=True)
class _Given:
    """A value of a sample, which is one value even if it is a list."""

    value: Any


def is_image(value: Any) -> bool:
    """Whether a value of a sample is an image: a path, a PIL image or a uint8 array (H, W, 3)."""
    if isinstance(value, np.ndarray):
        return value.dtype == np.uint8 and value.ndim in (2, 3)
    return isinstance(value, (str, os.PathLike, Image.Image, EncodedImage))


def is_sample(value: Any) -> bool:
    """Whether this is a sample: a mapping, or a list or tuple with an image or a mapping in it."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(is_image(each) or is_sample(each) for each in value)


def setting_by_input(
    name: str, setting: Setting | Mapping[str, Setting] | None, framework: Framework
) -> dict[str, Setting]:
    """Return what was given for single inputs, by name; nothing where it was given for all.

    Raises:
        OptionError: The model has no input of a name.
    """
    if not isinstance(setting, Mapping):
        return {}
    known = framework.declared_inputs()
    for each in setting:
        if len(known) > 1 and each not in known:
            raise OptionError(
                f"{name} names the input {each!r}; the inputs of the model are {', '.join(map(repr, known))}."
                f"{did_you_mean(str(each), known)}"
            )
    return dict(setting)


def needs_samples(name: object, framework: Framework) -> InputError:
    """Return the error for images that are given to a model with several inputs."""
    names = framework.declared_inputs()
    example = ", ".join(f"{each!r}: ..." for each in names)
    options = " ".join(f"--input {each}=FILE" for each in names)
    return InputError(
        f"The model {name!r} has {framework.input_count()} inputs, {listed([repr(each) for each in names])}, and was "
        f"given images for one. Give a value for each: Explainer.explain([{{{example}}}]); on the command line, seewhy "
        f"explain {options}. Other commands and functions explain models with one input."
    )


def preprocess_samples(classifier: ClassifierSettings, samples: Sequence[Sample]) -> SampleInputs:
    """Turn samples into the model's inputs.

    Raises:
        InputError: A sample does not have a value for each input, or a value does not fit its input.
        ImageError: An image cannot be read.
        ModelError: The size of an input is unknown.
    """
    framework = classifier.framework
    if framework.input_count() == 1 and framework.input_shape() is not None:
        raise InputError(
            f"The model {classifier.name!r} has one input, and was given a sample for several, "
            f"{short_repr(samples[0])}. Give images alone, without labels or names."
        )
    if framework.text_tower() is not None and any(len(sample) > 1 for sample in samples):
        raise InputError(
            f"The model {classifier.name!r} has an image and a text tower, and was given a sample of several values. "
            "Give images alone, and texts as prompts, seewhy.targets.Prompt(...); or "
            "preprocessed images and tokens to Explainer.heatmaps."
        )
    rows = [framework.arranged(_wrapped(sample)) for sample in samples]
    names = framework.input_names(rows[0])
    columns = list(zip(*(leaves(row) for row in rows), strict=False))
    if any(len(leaves(row)) != len(names) for row in rows):
        raise InputError(f"The samples have different numbers of values: {[len(leaves(row)) for row in rows]}.")
    shapes = _shapes(framework, len(names))
    images: dict[str, ImageInput] = {}
    arrays: list[NDArray[Any]] = []
    for leaf, (name, column) in enumerate(zip(names, columns, strict=True)):
        given = [each.value for each in column]
        if _are_images(name, given, shapes[leaf]):
            array, images[name] = _read_images(classifier, name, leaf, given, shapes[leaf])
        else:
            array = _stacked(name, given, shapes[leaf])
        arrays.append(array)
    if not images:
        raise InputError(
            f"The sample has no image: numbers were given for {listed(names)}. Give a path, a PIL image or a uint8 "
            "array (H, W, 3); a volume, a signal or a video alone, for a model of one input; for arrays that are "
            "already preprocessed, use Explainer.heatmaps(inputs, input_name=...)."
        )
    position = iter(arrays)
    values = framework.check_inputs(map_tree(lambda _: next(position), rows[0]))
    others = [
        {name: row.value for name, row in zip(names, leaves(each), strict=True) if name not in images} for each in rows
    ]
    return SampleInputs(values, images, tuple(others))


def preprocessing_for(
    classifier: ClassifierSettings, name: str, shape: tuple[int | None, ...] | None, *, channels_first: bool
) -> Preprocessing:
    """Return the preprocessing of one of several image inputs.

    Args:
        classifier: Has preprocessing for all inputs, or for this one by its name.
        name: The name of the input.
        shape: Its shape (N, ...), with None for unknown sizes; None where it is unknown.
        channels_first: Whether it is (N, 3, h, w).

    Raises:
        ModelError: Its size is unknown.
    """
    own = classifier.preprocess_by_input.get(name, classifier.preprocessing or classifier.finish)
    size = classifier.size_by_input.get(name)
    if isinstance(own, Preprocessing):
        own = own if size is None else own.with_size(size)
        return replace(own, channels_first=channels_first or own.channels_first)
    is_known = shape is not None and len(shape) == 4
    sides = () if shape is None or not is_known else (shape[2:] if channels_first else shape[1:3])
    declared = None if len(sides) != 2 or None in sides else (sides[0], sides[1])
    found = size or classifier.given_size or declared or classifier.framework.declared_size()
    if found is None or len(found) != 2 or found[0] is None or found[1] is None:
        raise ModelError(
            f"The size of the input {name!r} of the model {classifier.name!r} is unknown. Give it: "
            f"seewhy.Classifier(model, input_size=(224, 224)), or that of each input, input_size={{{name!r}: (224, "
            "224)}."
        )
    is_grey = is_known and shape is not None and shape[1 if channels_first else 3] == 1
    return Preprocessing(size=(found[0], found[1]), finish=own, channels_first=channels_first, grey=is_grey)


def image_sizes(classifier: ClassifierSettings) -> dict[str, tuple[int, int]]:
    """Return (h, w) of each input that takes images, by name, as far as they are known."""
    framework = classifier.framework
    names = framework.declared_inputs()
    found: dict[str, tuple[int, int]] = {}
    for name, shape in zip(names, _shapes(framework, len(names)), strict=True):
        if shape is not None and not may_be_image(shape):
            continue
        try:
            first = shape is None or framework.is_channels_first(name, shape)
            found[name] = preprocessing_for(classifier, name, shape, channels_first=first).size
        except ModelError:
            continue  # which explaining says
    return found


def may_be_image(shape: Sequence[int | None]) -> bool:
    """Whether an input of this shape (N, ...) may be images: four axes, one of them that of 1, 3 or 4 channels."""
    return len(shape) == 4 and any(size is None or size in CHANNELS for size in (shape[1], shape[3]))


def _wrapped(sample: Any) -> Any:
    """Return a sample with its values in `_Given`; lists of numbers are values, too."""
    if isinstance(sample, Mapping):
        return {name: _wrapped(value) if is_sample(value) else _Given(value) for name, value in sample.items()}
    return [_wrapped(value) if is_sample(value) else _Given(value) for value in sample]


def _shapes(framework: Framework, count: int) -> list[tuple[int | None, ...] | None]:
    """Return the shape of each input; None for those that the model does not declare."""
    declared = framework.input_shape()
    shapes: Iterable[tuple[int | None, ...] | None] = () if declared is None else leaf_shapes(declared)
    found = list(shapes)
    return found if len(found) == count else [None] * count


def _are_images(name: str, given: Sequence[Any], shape: tuple[int | None, ...] | None) -> bool:
    """Whether the values of an input are images, in all samples."""
    kinds = [is_image(value) for value in given]
    if any(kinds) and shape is not None and not may_be_image(shape):
        image = next(value for value, is_one in zip(given, kinds, strict=True) if is_one)
        if isinstance(image, np.ndarray):
            return False  # whole numbers of 8 bits, which are values as any other
        raise InputError(
            f"The input {name!r} takes arrays of shape {_text(shape)}, without the batch {_text(shape[1:])}, and was "
            f"given an image, {short_repr(image)}. Give its numbers."
        )
    if any(kinds) and not all(kinds):
        other = next(value for value, is_one in zip(given, kinds, strict=True) if not is_one)
        raise InputError(f"The input {name!r} was given images in some samples, and {short_repr(other)} in another.")
    return all(kinds)


def _read_images(
    classifier: ClassifierSettings,
    name: str,
    leaf: int,
    given: Sequence[ImageLike],
    shape: tuple[int | None, ...] | None,
) -> tuple[NDArray[Any], ImageInput]:
    framework = classifier.framework
    first = framework.channels_first if shape is None else framework.is_channels_first(name, shape)
    preprocessing = preprocessing_for(classifier, name, shape, channels_first=first)
    pixels = tuple(map(read, given))
    inputs = preprocessing(pixels)
    return inputs.values, ImageInput(leaf, tuple(given), pixels, inputs.placements)


def _stacked(name: str, given: Sequence[Any], shape: tuple[int | None, ...] | None) -> NDArray[Any]:
    """Return the values of all samples as one array, (N, ...)."""
    rows = [_row(name, value, shape) for value in given]
    if len({row.shape for row in rows}) > 1:
        raise InputError(f"The input {name!r} was given values of different shapes: {[row.shape for row in rows]}.")
    return np.stack(rows)


def _row(name: str, value: Any, shape: tuple[int | None, ...] | None) -> NDArray[Any]:
    """Return a value without the batch axis, in the shape that the model declares."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths, or a tensor on a GPU
        raise InputError(f"The value of the input {name!r} is no array: {error}") from error
    if isinstance(value, (Volume, Signal, Video)):
        raise InputError(
            f"The input {name!r} was given a {value.noun}. A sample has images and numbers; a {value.noun} is "
            "explained alone, for a model of one input."
        )
    if array.dtype.kind not in "fiub":
        raise InputError(f"The input {name!r} was given {short_repr(value)}; expected an image or numbers.")
    if shape is None:
        return array
    wanted = shape[1:]
    if array.ndim == 0 and wanted == (1,):
        array = array.reshape(1)
    if array.ndim == len(wanted) + 1 and array.shape[0] == 1:
        array = array[0]  # with a batch axis
    if len(array.shape) != len(wanted) or any(
        size not in (None, own) for size, own in zip(wanted, array.shape, strict=True)
    ):
        raise InputError(
            f"The input {name!r} was given values of shape {array.shape}; the model expects {_text(wanted)} for each "
            "sample."
        )
    return array


def _text(shape: Sequence[int | None]) -> str:
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
