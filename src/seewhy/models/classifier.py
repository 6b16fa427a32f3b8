"""A model together with its preprocessing and class names."""

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import ModelError, OptionError, TargetError, short_repr
from seewhy.frameworks import Framework, exported, framework_for
from seewhy.frameworks.fingerprint import fingerprint
from seewhy.frameworks.structures import only_leaf
from seewhy.images.reading import ImageLike, read
from seewhy.images.writing import write_atomically
from seewhy.models import keras_file, sidecar
from seewhy.models.class_names import ClassNames, named_classes
from seewhy.models.preprocessing import Inputs, Preprocessing
from seewhy.models.sidecar import PreprocessingConfig, Sidecar
from seewhy.recordings.recording import check_rate
from seewhy.representation import ShortTuple, call_repr, counted, description, shortened
from seewhy.types import Backend, FloatArray, Precision


class Prediction(NamedTuple):
    """A class and its probability, in 0..1."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not used
    name: str
    probability: float

    def __repr__(self) -> str:
        return call_repr("Prediction", self._asdict())


class Classifier:
    """A model, its preprocessing, and its class names.

    Args:
        model: A `keras.Model` or a `torch.nn.Module`. It is never changed.
        preprocess: A `Preprocessing`; a function from float32 (N, h, w, 3) in 0..255 to the model's input, such as
            `preprocess_input` of `keras.applications.vgg16`; or None for a model that takes values in 0..255. In the
            last two cases, images are resized to `input_size` without keeping their aspect ratio. For a model that
            takes channels first, the function may return either layout, (N, C, h, w) or (N, h, w, C).
        class_names: Names in the order of the outputs, or a `ClassNames`; None for those that the model holds, such as
            `config.id2label` of Hugging Face models, or if they are unknown.
        input_size: (h, w) in pixels; for a model of volumes (d, h, w), of signals (l,), and of videos (t, h, w), or
            (h, w) where it takes any number of frames. None reads it from the model.
        name: The model's name in messages and figures.
        layer: The layer that `layer="auto"` selects: a path, or a name that only one layer has. None leaves the
            choice to `Explainer`.
        backend: What runs the model where an `Explainer` names nothing: "onnx" or "openvino"; None for its framework.
        sample_rate: The number of samples in a second of the signals that the model takes; None where it is unknown.

    Raises:
        ModelError: `model` is of an unsupported type.
        RecordingError: `sample_rate` is not a number above 0.
        OptionError: `preprocess` is neither a `Preprocessing` nor a function.
        LayerError: There is no such layer, or more than one of that name.
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: Preprocessing | Callable[[FloatArray], Any] | None = None,
        class_names: Sequence[str] | None = None,
        input_size: tuple[int, ...] | None = None,
        name: str | None = None,
        layer: str | None = None,
        backend: Backend | None = None,
        sample_rate: float | None = None,
    ) -> None:
        if preprocess is not None and not callable(preprocess):
            raise OptionError(
                f"preprocess is {short_repr(preprocess)}; expected a seewhy.Preprocessing, or a function such as "
                "keras.applications.vgg16.preprocess_input."
            )
        self.model = model
        self.backend = backend
        self.framework: Framework = framework_for(model)
        self._frameworks: dict[Precision, Framework] = {"float32": self.framework}
        self._exported: dict[tuple[Backend, Precision], Framework] = {}
        self.name = name or getattr(model, "name", type(model).__name__)
        self.class_names = _class_names(class_names, self.framework)
        self._were_names_given = class_names is not None
        self.preprocessing = preprocess if isinstance(preprocess, Preprocessing) else None
        self._finish = None if isinstance(preprocess, Preprocessing) else preprocess
        self._input_size = input_size
        self.sample_rate = check_rate("sample_rate", sample_rate)
        self.layer = layer
        if layer is not None:
            self.framework.find_layer(layer)

    def __repr__(self) -> str:
        classes = "" if self.class_names is None else f", {counted(len(self.class_names), 'class')}"
        layer = "" if self.layer is None else f", default layer {shortened(self.layer)}"
        kind = f"{type(self.model).__module__.partition('.')[0]} {type(self.model).__name__}"
        return description(self, f"{shortened(str(self.name))}: {kind}{classes}{layer}")

    @property
    def has_preprocessing(self) -> bool:
        """Whether preprocessing was given; otherwise the model takes values in 0..255."""
        return self.preprocessing is not None or self._finish is not None

    @property
    def finish(self) -> Callable[[FloatArray], Any] | None:
        """The function that was given as preprocessing; None where none was, or a `Preprocessing`."""
        return self._finish

    @property
    def given_size(self) -> tuple[int, ...] | None:
        """The size of the input that was given; None where none was."""
        return self._input_size

    @property
    def input_size(self) -> tuple[int, int]:
        """(h, w) of the model's input, in pixels.

        Raises:
            ModelError: `input_size` was not given, and the model accepts any size.
        """
        if self.preprocessing is not None:
            return self.preprocessing.size
        if self._input_size is not None:
            if len(self._input_size) != 2:
                raise ModelError(
                    f"The model {self.name!r} takes inputs of the size {self._input_size}; an image has two axes."
                )
            return self._input_size[0], self._input_size[1]
        shape = self.framework.input_shape()
        size: tuple[int | None, ...] = ()
        if _is_image(shape):
            size = shape[2:] if self.framework.channels_first else shape[1:3]
        declared = self.framework.declared_size()
        if declared is not None:
            return declared
        if not size or size[0] is None or size[1] is None:
            raise ModelError(
                f"The input size of the model {self.name!r} is unknown (its input shape is {shape}). Give it: "
                "seewhy.Classifier(model, preprocess=..., input_size=(224, 224))."
            )
        return (size[0], size[1])

    def fixed_size(self, axes: int) -> tuple[int | None, ...]:
        """Return the size of the input along each of its spatial axes, as it was given or as the model has it.

        Args:
            axes: The number of axes; for three, a size (h, w) is that of the frames of a video.

        Returns:
            One for each axis; None where the model takes any size, or where it is unknown.
        """
        shape = self.framework.input_shape()
        size: tuple[int | None, ...] = (None,) * axes
        if isinstance(shape, tuple) and len(shape) == axes + 2:
            size = tuple(shape[2:] if self.framework.channels_first else shape[1:-1])
        given = self._input_size if self.preprocessing is None else self.preprocessing.size
        if given is None or len(given) > axes:
            return size
        return (*size[: axes - len(given)], *given)

    def framework_in(self, precision: Precision, backend: Backend | None = None) -> Framework:
        """Return what runs the model in this precision; each is created once and caches compiled code.

        Args:
            precision: The precision.
            backend: What runs it other than its own framework.

        Raises:
            OptionError: The model cannot run in bfloat16, or on that backend, here.
            MissingExtraError: The backend is not installed.
        """
        if backend is not None:
            if (backend, precision) not in self._exported:
                self._exported[backend, precision] = exported(self.framework, backend, precision)
            return self._exported[backend, precision]
        if precision not in self._frameworks:
            self._frameworks[precision] = framework_for(self.model, precision)
        return self._frameworks[precision]

    def preprocess(self, images: Sequence[ImageLike]) -> Inputs:
        """Turn images into the model's input, and record which part of each image it shows.

        Args:
            images: Paths, PIL images or uint8 arrays (H, W, 3), of any sizes.

        Returns:
            `Inputs`: float32 (N, h, w, 3), or (N, 3, h, w) if the model takes channels first; and a placement for
            each image.

        Raises:
            ImageError: An image cannot be read.
            ModelError: The input size is unknown.
        """
        preprocessing = preprocessing_of(self)
        if self.framework.channels_first:
            preprocessing = dataclasses.replace(preprocessing, channels_first=True)
        return preprocessing([read(image) for image in images])

    def predict(self, images: Sequence[ImageLike]) -> list[tuple[Prediction, ...]]:
        """Classify images.

        The model's last operation tells what its outputs are: a softmax or a sigmoid gives probabilities, and a matrix
        product gives logits, whatever their values. Where it is another, as a mean of softmaxes, outputs of an image
        that are not negative and sum to 1 are taken as probabilities, and others as logits.

        Returns:
            For each image, all classes, the most probable first.

        Raises:
            ModelError: The model's outputs are not class scores.
        """
        inputs = self.framework.check_inputs(self.preprocess(images))
        probabilities = self.framework.predict(inputs)
        if probabilities is None:
            raise ModelError(
                f"Cannot predict: the outputs of the model {self.name!r} are not class scores of shape (N, classes)."
            )
        self.check_class_count(probabilities.shape[1])
        return [self.rank(row) for row in self.framework.to_numpy(probabilities)]

    def fingerprint(self) -> str:
        """Return a hash of the model's weights and configuration, of the preprocessing and of the class names.

        It is the same in every process and on every machine, for a model that was built or loaded in the same way.
        """
        names = None if self.class_names is None else list(self.class_names)
        finish = getattr(self._finish, "__qualname__", type(self._finish).__qualname__)
        preprocessing = None if self.preprocessing is None else vars(self.preprocessing)
        return fingerprint([self.framework.fingerprint(), self._input_size, finish, preprocessing, names], ())

    def may_need_preprocessing(self, inputs: Any) -> bool:
        """Whether these checked inputs are pixels in 0..255, and no preprocessing was given."""
        return not self.has_preprocessing and _are_pixels(only_leaf(inputs))

    def preprocessing_hint(self, inputs: Any) -> str | None:
        """Return a warning that the model probably needs preprocessing, or None if it scales pixels itself.

        This may run the model. Call it once, with checked inputs for which `may_need_preprocessing` is true.
        """
        if not self.framework.is_unscaled(inputs):
            return None
        return (
            f"The model {self.name!r} was given pixels in 0..255, and its first layer is a convolution. If it was "
            "trained on scaled images, its predictions are meaningless. Give the preprocessing: seewhy.Classifier("
            "model, preprocess=...); for a model that takes 0..255, seewhy.Preprocessing(size=(height, width))."
        )

    def check_class_count(self, count: int) -> None:
        """Raise ModelError if the number of class names differs from `count`, the model's number of classes."""
        if self.class_names is not None and len(self.class_names) != count:
            if self._were_names_given:
                problem = f"{len(self.class_names)} class names were given, and the model"
            else:
                problem = f"The config of the model has {len(self.class_names)} class names (id2label), and"
            raise ModelError(
                f"{problem} {self.name!r} has {count} classes. Give a name for each class: class_names=[...]."
            )

    def rank(self, probabilities: FloatArray) -> tuple[Prediction, ...]:
        """Turn the probabilities (C,) of one image into predictions, the most probable first."""
        order = np.argsort(-probabilities, kind="stable")
        names, values = map(self.class_name, order.tolist()), probabilities[order].tolist()
        return ShortTuple(map(Prediction, order.tolist(), names, values))

    def class_name(self, index: int) -> str:
        """Return a class's name, by which `find_class` finds it.

        It carries the index where several classes have the name, as in "crane (134)". It is "class 3" if names are
        unknown, and "" for -1, which stands for no class.
        """
        if index < 0:
            return ""
        return f"class {index}" if self.class_names is None else self.class_names.unique_name(index)

    def class_id(self, index: int) -> str | None:
        """Return a class's id (ImageNet's wnid), if it has one."""
        ids = self.class_names.ids if self.class_names is not None and index >= 0 else None
        return None if ids is None else ids[index]

    def find_class(self, query: int | str) -> int:
        """Return the index of a class given by index, name or id; raise TargetError if there is no such class."""
        if self.class_names is not None:
            return self.class_names.find(query)
        if isinstance(query, str) and (numbered := re.fullmatch(r"(?:class )?(\d+)", query.strip())):
            return int(numbered[1])
        if isinstance(query, str):
            raise TargetError(
                f"The class {query!r} was given by name, and the model's class names are not known. Give its index, "
                "or the names: seewhy.Classifier(model, class_names=[...])."
            )
        return int(query)

    def replace(
        self,
        *,
        preprocess: Preprocessing | Callable[[FloatArray], Any] | None = None,
        class_names: Sequence[str] | None = None,
        input_size: tuple[int, ...] | None = None,
    ) -> "Classifier":
        """Return a classifier of the same model with other preprocessing, class names or input size.

        Args:
            preprocess: As for `Classifier`; None keeps that of this classifier.
            class_names: As for `Classifier`; None keeps those of this classifier.
            input_size: (h, w) in pixels; None keeps that of this classifier.
        """
        kept = self.preprocessing or self._finish
        chosen = kept if preprocess is None else preprocess
        if input_size is not None and isinstance(chosen, Preprocessing):
            if len(input_size) != 2:
                raise ModelError(
                    f"The input size is {input_size}, and the preprocessing of the model {self.name!r} is for images: "
                    "expected (height, width), in pixels."
                )
            chosen = chosen.with_size((input_size[0], input_size[1]))
        kept_names = self.class_names if self._were_names_given else None  # which reads the model's own again
        kept_size = self._input_size if self.preprocessing is None else self.preprocessing.size
        return Classifier(
            self.model,
            preprocess=chosen,
            class_names=kept_names if class_names is None else class_names,
            input_size=input_size or kept_size,
            name=self.name,
            layer=self.layer,
            sample_rate=self.sample_rate,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model and its sidecar, which holds preprocessing and class names: `model.keras` and `model.json`.

        Each file is written completely or not at all. `seewhy.load` reads both.

        Args:
            path: The path of the model file, with the suffix `.keras`.

        Returns:
            The path.

        Raises:
            ModelError: The path has another suffix, the model is not a Keras model, or the preprocessing is a Python
                function that is not part of `keras.applications`.
            OutputError: A file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".keras":
            raise ModelError(f"Cannot save a classifier as {path.name!r}; expected a file name that ends in .keras.")
        if not keras_file.is_keras_model(self.model):
            raise ModelError(
                f"The model {self.name!r} is not a Keras model, and only those can be saved. Save its weights with its "
                "own framework, and load them in a function that returns the model: package.module:callable."
            )
        metadata = sidecar_of(self).as_json()  # before anything is written, for it may raise
        write_atomically(path, lambda file: keras_file.save_model(self.model, file), durable=True)
        write_atomically(sidecar.path_beside(path), lambda file: file.write(metadata), durable=True)
        return path


def preprocessing_of(classifier: Classifier) -> Preprocessing:
    """Return the preprocessing of a classifier, also where a function or none was given.

    Raises:
        ModelError: The input size is unknown.
    """
    return classifier.preprocessing or Preprocessing(size=classifier.input_size, finish=classifier._finish)


def sidecar_of(classifier: Classifier) -> Sidecar:
    """Return what the sidecar of a classifier's model file holds.

    Raises:
        ModelError: The preprocessing is a Python function that is not part of `keras.applications`.
    """
    preprocessing, finish = classifier.preprocessing, classifier._finish
    if preprocessing is None:
        config = None if finish is None else PreprocessingConfig(sidecar.application_name(finish))
        return Sidecar(classifier.class_names, classifier._input_size, config, classifier.layer, classifier.sample_rate)
    names = ("crop", "resize", "resample", "mean", "std", "channels_first", "grey")
    values = {name: getattr(preprocessing, name) for name in names}
    config = PreprocessingConfig(sidecar.application_name(preprocessing.finish), **values)
    return Sidecar(classifier.class_names, preprocessing.size, config, classifier.layer, classifier.sample_rate)


def _are_pixels(inputs: Any) -> bool:
    """Whether these are images in 0..255: scaled inputs have negative values, or a maximum far below 255."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == 4 and inputs.min() >= 0 and 100 < inputs.max() <= 255


def _is_image(shape: Any) -> bool:
    return isinstance(shape, tuple) and len(shape) == 4


def _class_names(names: Sequence[str] | None, framework: Framework) -> ClassNames | None:
    """Return the names that were given, or else those that the model holds."""
    if names is None:
        return named_classes(framework.declared_labels())
    return names if isinstance(names, ClassNames) else ClassNames(names)
