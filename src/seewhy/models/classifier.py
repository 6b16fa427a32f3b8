"""A model with what is needed to show it images and to read its answer."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import ModelError, TargetError
from seewhy.frameworks import Framework, framework_for
from seewhy.images.reading import ImageLike, read
from seewhy.images.writing import write_atomically
from seewhy.models import keras_file, sidecar
from seewhy.models.class_names import ClassNames
from seewhy.models.preprocessing import Inputs, Preprocessing
from seewhy.models.sidecar import PreprocessingConfig, Sidecar
from seewhy.types import FloatArray, Precision


class Prediction(NamedTuple):
    """One class of a ranked answer; `probability` is in 0..1."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses
    name: str
    probability: float


class Classifier:
    """A model, its preprocessing, and its class names.

    Args:
        model: A `keras.Model`, or a model of another framework that SeeWhy runs. It is never changed.
        preprocess: A `Preprocessing`; or a function from float32 (N, h, w, 3) in 0..255 to the model's input, such
            as `preprocess_input` of `keras.applications.vgg16`; or None for a model that takes 0..255. For the
            last two, images are squeezed into `input_size`.
        class_names: Names in the order of the outputs, or a `ClassNames`; None if they are not known.
        input_size: (h, w) in pixels; None takes it from the model.
        name: What the model is called in messages.
        layer: The layer that an `Explainer` explains where it is told of none: a path, or a name only one layer has.

    Raises:
        ModelError: `model` cannot be run.
        LayerError: There is no such layer, or several of that name.
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: Preprocessing | Callable[[FloatArray], Any] | None = None,
        class_names: Sequence[str] | None = None,
        input_size: tuple[int, int] | None = None,
        name: str | None = None,
        layer: str | None = None,
    ) -> None:
        self.model = model
        self.framework: Framework = framework_for(model)
        self._frameworks: dict[Precision, Framework] = {"float32": self.framework}
        self.name = name or getattr(model, "name", type(model).__name__)
        self.class_names = _class_names(class_names)
        self.preprocessing = preprocess if isinstance(preprocess, Preprocessing) else None
        self._finish = None if isinstance(preprocess, Preprocessing) else preprocess
        self._input_size = input_size
        self.layer = layer
        if layer is not None:
            self.framework.find_layer(layer)

    @property
    def input_size(self) -> tuple[int, int]:
        """(h, w) of the images the model takes, in pixels.

        Raises:
            ModelError: It was not given and the model leaves it open.
        """
        if self.preprocessing is not None:
            return self.preprocessing.size
        if self._input_size is not None:
            return self._input_size
        shape = self.framework.input_shape()
        size: tuple[int | None, ...] = ()
        if _is_image(shape):
            size = shape[2:] if self.framework.channels_first else shape[1:3]
        if not size or size[0] is None or size[1] is None:
            raise ModelError(
                f"The model {self.name!r} does not say what size of image it takes (its input shape is {shape}). "
                "Give it: seewhy.Classifier(model, preprocess=..., input_size=(224, 224))."
            )
        return (size[0], size[1])

    def framework_in(self, precision: Precision) -> Framework:
        """Return what runs the model in this precision; it is made once, for it keeps what it compiled.

        Raises:
            OptionError: Nothing here can run it in bfloat16.
        """
        if precision not in self._frameworks:
            self._frameworks[precision] = framework_for(self.model, precision)
        return self._frameworks[precision]

    def preprocess(self, images: Sequence[ImageLike]) -> Inputs:
        """Turn images into the model's input, and remember where on each image it lies.

        Args:
            images: Paths, PIL images or uint8 arrays (H, W, 3), of any sizes.

        Returns:
            `Inputs`: float32 (N, h, w, 3), or (N, 3, h, w) where the model takes channels first; and a placement
            for each image.

        Raises:
            ImageError: An image cannot be read.
            ModelError: The size of the input is not known.
        """
        preprocessing = self.preprocessing or Preprocessing(size=self.input_size, finish=self._finish)
        if self.framework.channels_first:
            preprocessing = dataclasses.replace(preprocessing, channels_first=True)
        return preprocessing([read(image) for image in images])

    def predict(self, images: Sequence[ImageLike]) -> list[tuple[Prediction, ...]]:
        """Classify images.

        Returns:
            For each image all classes, the most probable first.

        Raises:
            ModelError: The model's outputs are not class scores.
        """
        inputs = self.framework.check_inputs(self.preprocess(images))
        probabilities = self.framework.predict(inputs)
        if probabilities is None:
            raise ModelError(f"The model {self.name!r} gives no class scores, (N, classes), so nothing can be ranked.")
        self.check_class_count(probabilities.shape[1])
        return [self.rank(each) for each in self.framework.to_numpy(probabilities)]

    def may_need_preprocessing(self, inputs: Any) -> bool:
        """Whether these checked inputs are pixels, and nobody said how the model takes pixels."""
        return self.preprocessing is None and self._finish is None and _are_pixels(inputs)

    def preprocessing_hint(self, inputs: Any) -> str | None:
        """Return what to say of these checked inputs, which are pixels, if nobody said how the model takes pixels.

        This may run the model; once is enough.
        """
        if not self.framework.is_unscaled(inputs):
            return None
        return (
            f"The model {self.name!r} was given pixels in 0..255, and begins with a convolution: if it was trained "
            "on scaled images, its answers mean nothing. Say how it takes them: seewhy.Classifier(model, "
            "preprocess=...); for one that takes 0..255, seewhy.Preprocessing(size=(height, width))."
        )

    def check_class_count(self, count: int) -> None:
        """Raise ModelError if the class names are not as many as the model's classes."""
        if self.class_names is not None and len(self.class_names) != count:
            raise ModelError(
                f"{len(self.class_names)} class names were given, and the model {self.name!r} has {count} classes."
            )

    def rank(self, probabilities: FloatArray) -> tuple[Prediction, ...]:
        """Name and rank the probabilities (C,) of one image."""
        order = np.argsort(-probabilities, kind="stable")
        names, values = map(self.class_name, order.tolist()), probabilities[order].tolist()
        return tuple(map(Prediction, order.tolist(), names, values))

    def class_name(self, index: int) -> str:
        """Return a class's name; "class 3" where names are not known, "" for -1, which is no class."""
        if index < 0:
            return ""
        return f"class {index}" if self.class_names is None else self.class_names[index]

    def class_id(self, index: int) -> str | None:
        """Return a class's id (ImageNet's wnid), if it has one."""
        known = self.class_names.ids if self.class_names is not None and index >= 0 else None
        return None if known is None else known[index]

    def find_class(self, query: int | str) -> int:
        """Return the index of a class given by index, name or id, or raise TargetError."""
        if self.class_names is not None:
            return self.class_names.find(query)
        if isinstance(query, str) and not query.strip().isdecimal():
            raise TargetError(
                f"The class {query!r} was given by name, and the model's class names are not known. Give its index, "
                "or the names: seewhy.Classifier(model, class_names=[...])."
            )
        return int(query)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model, and beside it how it is to be shown images: `model.keras` and `model.json`.

        Each file is written whole or not at all. `seewhy.load` reads both.

        Args:
            path: Where to write the model; the suffix is `.keras`.

        Returns:
            The path.

        Raises:
            ModelError: The suffix is another, the model is not of Keras, or the preprocessing is a Python function
                that is not one of `keras.applications`.
            OutputError: A file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".keras":
            raise ModelError(f"Cannot save a classifier as {path.name!r}; expected a name that ends in .keras.")
        if not keras_file.is_keras(self.model):
            raise ModelError(
                f"The model {self.name!r} is not of Keras, and only Keras models can be written. Save its weights "
                "with its own framework, and give a function that loads them: package.module:callable."
            )
        beside = self._sidecar().as_json()  # before anything is written: it may be refused
        write_atomically(path, lambda file: keras_file.save_model(self.model, file))
        write_atomically(sidecar.path_beside(path), lambda file: file.write(beside))
        return path

    def _sidecar(self) -> Sidecar:
        given = self.preprocessing
        if given is None:
            recipe = None if self._finish is None else PreprocessingConfig(sidecar.name_of(self._finish))
        else:
            names = ("crop", "resample", "mean", "std", "channels_first", "grey")
            numbers = {name: getattr(given, name) for name in names}
            recipe = PreprocessingConfig(sidecar.name_of(given.finish), **numbers)
        size = self._input_size if given is None else given.size
        return Sidecar(self.class_names, size, recipe, self.layer)


def _are_pixels(inputs: Any) -> bool:
    """Whether these are images in 0..255: what is scaled for a model is below 0 or far below 255."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == 4 and inputs.min() >= 0 and 100 < inputs.max() <= 255


def _is_image(shape: Any) -> bool:
    return isinstance(shape, tuple) and len(shape) == 4


def _class_names(names: Sequence[str] | None) -> ClassNames | None:
    return names if names is None or isinstance(names, ClassNames) else ClassNames(names)
