"""What a caller of `load` says about a model: its class names, its preprocessing and its input size."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Union

from seewhy.errors import ModelError, OptionError, short_repr
from seewhy.frameworks.structures import leaf_shapes
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.class_names_file import read_class_names
from seewhy.models.classifier import Classifier
from seewhy.models.named_preprocessing import check_name, find_preprocessing
from seewhy.models.preprocessing import MAX_AREA, MAX_SIDE, Preprocessing, is_input_size
from seewhy.models.text_encoder import Prompts, PromptsSpec
from seewhy.types import FloatArray

ClassNamesSpec = Union[str, "os.PathLike[str]", Sequence[str]]
"""Class names; "imagenet"; or the path of a file with them, see `read_class_names`."""

PreprocessingSpec = Union[str, Preprocessing, Callable[[FloatArray], Any]]  # noqa: UP007  # evaluated by documentation
"""The name of a preprocessing, see `find_preprocessing`; or what `Classifier` takes."""

InputSizeSpec = int | tuple[int, ...]
"""The side of a square, or (h, w), in pixels; the three sides of a volume or a video."""


@dataclass(frozen=True)
class Overrides:
    """What replaces the parts of a classifier; None keeps a part.

    Attributes:
        class_names: The names of the classes.
        preprocessing: The preprocessing.
        input_size: (h, w) in pixels; or the three sides of a volume or a video.
        prompts: Texts that become the classes.
    """

    class_names: Sequence[str] | None = None
    preprocessing: PreprocessingSpec | None = None
    input_size: tuple[int, ...] | None = None
    prompts: PromptsSpec | None = None

    @property
    def names(self) -> Sequence[str] | None:
        """The names of the classes; None where they are those of the model."""
        if self.class_names is not None or self.prompts is None:
            return self.class_names
        return Prompts.parse(self.prompts).names

    @classmethod
    def parse(
        cls,
        class_names: ClassNamesSpec | None = None,
        preprocessing: PreprocessingSpec | None = None,
        input_size: InputSizeSpec | None = None,
        prompts: PromptsSpec | None = None,
    ) -> "Overrides":
        """Check what a caller gave, and read the file with the class names.

        Raises:
            ModelError, WeightsError: The file does not contain class names, or cannot be read.
            OptionError: The input size is not one, there is no preprocessing of that name, or no prompts were given.
            TargetError: A prompt is not a text, or is empty.
        """
        if isinstance(preprocessing, str):
            check_name(preprocessing)
        if prompts is not None:
            Prompts.parse(prompts)
        return cls(_class_names(class_names), preprocessing, _size(input_size), prompts)

    def apply(self, classifier: Classifier) -> Classifier:
        """Return the classifier with its parts replaced.

        Raises:
            OptionError: There is no preprocessing of that name.
            ModelError: The input size is unknown.
            TargetError: There are prompts, and the model has no text tower, or reads fewer tokens than one has.
        """
        if self.prompts is not None:
            classifier = classifier.with_prompts(self.prompts)
        if replace(self, prompts=None) == Overrides():
            return classifier
        preprocess: Any = self.preprocessing
        if isinstance(preprocess, str):
            preprocess = _named(preprocess, classifier, self.input_size)
        return classifier.replace(preprocess=preprocess, class_names=self.class_names, input_size=self.input_size)


def _named(name: str, classifier: Classifier, size: tuple[int, ...] | None) -> Preprocessing | dict[str, Preprocessing]:
    """Return the preprocessing of a name, for a grey model with one channel; of several inputs, that of each image."""
    config, framework, shape = find_preprocessing(name), classifier.framework, classifier.framework.input_shape()
    if framework.input_count() == 1:
        height, width = _of_image(name, size or classifier.input_size)
        preprocessing = config.preprocessing((height, width))
        return _in_channels(preprocessing, shape, channels_first=framework.channels_first)
    names, given = framework.declared_inputs(), None if size is None else _of_image(name, size)
    shapes: dict[str, Any] = (
        dict.fromkeys(names) if shape is None else dict(zip(names, leaf_shapes(shape), strict=True))
    )
    sizes = classifier.input_sizes if given is None else dict.fromkeys(names, given)
    return {
        each: _in_channels(
            config.preprocessing(sides),
            shapes[each],
            channels_first=shapes[each] is not None and framework.is_channels_first(each, shapes[each]),
        )
        for each, sides in sizes.items()
    }


def _in_channels(preprocessing: Preprocessing, shape: Any, *, channels_first: bool) -> Preprocessing:
    """Return preprocessing for an input of a shape: grey where that has one channel."""
    is_grey = isinstance(shape, tuple) and len(shape) == 4 and shape[1 if channels_first else 3] == 1
    return Preprocessing(**{**vars(preprocessing), "grey": True}) if is_grey else preprocessing


def _class_names(names: ClassNamesSpec | None) -> Sequence[str] | None:
    if names is None or isinstance(names, ClassNames):
        return names
    if isinstance(names, (str, os.PathLike)):
        return imagenet() if names == "imagenet" else read_class_names(Path(names).expanduser())
    if not names or not all(isinstance(name, str) for name in names):
        raise ModelError(f"class_names is {short_repr(names)}; expected one or more names, or the path of a file.")
    return names


def _of_image(name: str, size: tuple[int, ...]) -> tuple[int, int]:
    """Return a size if it is that of an image, which a named preprocessing is for."""
    if len(size) != 2:
        raise OptionError(
            f"The preprocessing {name!r} is for images, and the input size is {size}. Give a function: "
            "seewhy.Classifier(model, preprocess=function)."
        )
    return (size[0], size[1])


def _size_of_volume(size: Sequence[Any]) -> tuple[int, ...]:
    if not all(type(side) is int and side > 0 for side in size) or math.prod(size) > MAX_AREA:
        raise OptionError(f"input_size is {short_repr(size)}; expected sides from 1, and at most {MAX_AREA:,} voxels.")
    return tuple(size)


def _size(size: InputSizeSpec | None) -> tuple[int, ...] | None:
    if size is None:
        return None
    if isinstance(size, (tuple, list)) and len(size) == 3:
        return _size_of_volume(size)
    sides = (size, size) if isinstance(size, int) else size
    is_pair = isinstance(sides, (tuple, list)) and len(sides) == 2 and all(type(side) is int for side in sides)
    if not is_pair or not is_input_size(*sides):
        raise OptionError(
            f"input_size is {short_repr(size)}; expected a side, or (height, width), in pixels, each from 1 to "
            f"{MAX_SIDE:,}."
        )
    return (sides[0], sides[1])
