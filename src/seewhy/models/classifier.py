"""A model together with its preprocessing and class names."""

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, overload

import numpy as np

from seewhy.errors import ModelError, OptionError, TargetError, short_repr
from seewhy.frameworks import Framework, exported, framework_for
from seewhy.frameworks.fingerprint import fingerprint
from seewhy.frameworks.structures import only_leaf
from seewhy.images.reading import ImageLike, read
from seewhy.models.class_names import names_of
from seewhy.models.declared_preprocessing import declared_preprocessing
from seewhy.models.given_preprocessing import as_preprocessing, check_preprocess, tokenizer_of
from seewhy.models.input_size import fixed_size, image_size, preprocessing_of
from seewhy.models.pixel_range import are_pixels, unscaled_hint
from seewhy.models.prediction import Prediction
from seewhy.models.preprocessing import Inputs, Preprocessing
from seewhy.models.prompted_classes import prompt_target, renew_classes, split_texts
from seewhy.models.samples import (
    Sample,
    SampleInputs,
    image_sizes,
    is_sample,
    needs_samples,
    preprocess_samples,
    setting_by_input,
)
from seewhy.models.saving import save_classifier
from seewhy.models.text_encoder import Prompts, PromptsSpec, TextEncoder, no_classes, text_encoder
from seewhy.recordings.recording import check_rate
from seewhy.representation import ShortTuple, counted, description, shortened
from seewhy.targets import Target, TargetSpec, resolve
from seewhy.targets.prompt import no_text_tower
from seewhy.types import Backend, FloatArray, Precision

AnyPreprocessing = Preprocessing | Callable[[FloatArray], Any]
"""How pixels become the input of a model, as `Classifier` takes it."""


class Classifier:
    """A model, its preprocessing, and its class names.

    Args:
        model: A `keras.Model` or a `torch.nn.Module`; or an `ultralytics.YOLO`. It is never changed.
        preprocess: A `Preprocessing`; a function from float32 (N, h, w, 3) in 0..255 to the model's input, such as
            `preprocess_input` of `keras.applications.vgg16`; or None for a model that takes values in 0..255, or that
            says itself what it takes, as those of Ultralytics do. With a function or None, images are resized to
            `input_size` without keeping their aspect ratio, unless the model says otherwise. For a model that takes
            channels first, the function may return either layout, (N, C, h, w) or (N, h, w, C). Or the processor of a
            Hugging Face model, or the transform of torchvision that open_clip returns with a model.
        class_names: Names in the order of the outputs, or a `ClassNames`; None for those that the model holds, such as
            `config.id2label` of Hugging Face models, or if they are unknown.
            For a model with several inputs also a dict of these, by the name of the input.
        input_size: (h, w) in pixels; for a model of volumes (d, h, w), of signals (l,), and of videos (t, h, w), or
            (h, w) where it takes any number of frames. None reads it from the model. For a model with several inputs
            also a dict of sizes, by the name of the input.
        name: The model's name in messages and figures.
        layer: The layer that `layer="auto"` selects: a path, or a name that only one layer has. None leaves the
            choice to `Explainer`.
        backend: What runs the model where an `Explainer` names nothing: "onnx" or "openvino"; None for its framework.
        tokenizer: Makes tokens of prompts, for a model with an image and a text tower: a tokenizer or a processor of
            Hugging Face, what `open_clip.get_tokenizer` returns, or a function from a list of texts to tokens (P, L).
            None takes that of the processor in `preprocess`, or the one beside a model of Hugging Face.
        sample_rate: The number of samples in a second of the signals that the model takes; None where it is unknown.

    Raises:
        ModelError: `model` is of an unsupported type.
        RecordingError: `sample_rate` is not a number above 0.
        OptionError: `preprocess` is neither a `Preprocessing` nor a function; or there is a tokenizer, and the model
            has no text tower.
        LayerError: There is no such layer, or more than one of that name.
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: AnyPreprocessing | Mapping[str, AnyPreprocessing] | None = None,
        class_names: Sequence[str] | None = None,
        input_size: tuple[int, ...] | Mapping[str, tuple[int, int]] | None = None,
        name: str | None = None,
        layer: str | None = None,
        backend: Backend | None = None,
        tokenizer: Any = None,
        sample_rate: float | None = None,
    ) -> None:
        self.model = model
        self.backend = backend
        self.framework: Framework = framework_for(model)
        self.preprocess_by_input: dict[str, AnyPreprocessing] = setting_by_input(
            "preprocess", preprocess, self.framework
        )
        sizes: Any = input_size
        self.size_by_input: dict[str, tuple[int, int]] = setting_by_input("input_size", sizes, self.framework)
        preprocess = None if isinstance(preprocess, Mapping) else preprocess
        input_size = None if isinstance(input_size, Mapping) else input_size
        for each in (preprocess, *self.preprocess_by_input.values()):
            check_preprocess(each)
        self.preprocess_by_input = {key: as_preprocessing(each) for key, each in self.preprocess_by_input.items()}
        tokenizer = tokenizer_of(preprocess) if tokenizer is None else tokenizer
        given: Preprocessing | Callable[[FloatArray], Any] | None = as_preprocessing(preprocess)
        self._frameworks: dict[Precision, Framework] = {"float32": self.framework}
        self._exported: dict[tuple[Backend, Precision], Framework] = {}
        self.name = name or getattr(model, "name", type(model).__name__)
        self._encoder = text_encoder(self.framework.text_tower(), tokenizer, str(self.name))
        self.prompts: Prompts | None = None
        self.class_names = names_of(class_names, self.framework.declared_labels())
        self._were_names_given = class_names is not None
        given = declared_preprocessing(self.framework.declared_input(), input_size) if given is None else given
        self.preprocessing = given if isinstance(given, Preprocessing) else None
        self._finish = None if isinstance(given, Preprocessing) else given
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
        return self.preprocessing is not None or self._finish is not None or bool(self.preprocess_by_input)

    @property
    def input_sizes(self) -> dict[str, tuple[int, int]]:
        """(h, w) of each input that takes images, in pixels, by name, of a model with several inputs."""
        return image_sizes(self)

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
            InputError: The model has several inputs; `input_sizes` has the size of each.
        """
        if self._encoder is None and self.framework.input_count() > 1:
            raise needs_samples(self.name, self.framework)
        return image_size(self)

    def fixed_size(self, axes: int) -> tuple[int | None, ...]:
        """Return the size of the input along each of its spatial axes, as it was given or as the model has it.

        Args:
            axes: The number of axes; for three, a size (h, w) is that of the frames of a video.

        Returns:
            One for each axis; None where the model takes any size, or where it is unknown.
        """
        return fixed_size(self, axes)

    def framework_in(self, precision: Precision, backend: Backend | None = None) -> Framework:
        """Return what runs the model in this precision; each is created once and caches compiled code.

        Args:
            precision: The precision.
            backend: What runs it other than its own framework.

        Raises:
            OptionError: The model cannot run in bfloat16, or on that backend, here.
            MissingExtraError: The backend is not installed.
        """
        if backend is not None and self._encoder is not None:
            raise OptionError(
                f"backend={backend!r} cannot run the model {self.name!r}, which has an image and a text tower. Leave "
                "out backend: it runs in PyTorch."
            )
        if backend is not None:
            if (backend, precision) not in self._exported:
                self._exported[backend, precision] = exported(self.framework, backend, precision)
            return self._exported[backend, precision]
        if precision not in self._frameworks:
            self._frameworks[precision] = framework_for(self.model, precision)
            self._renew_prompts()
        return self._frameworks[precision]

    def with_prompts(self, prompts: PromptsSpec) -> "Classifier":
        """Return a classifier whose classes are prompts, of a model with an image and a text tower such as CLIP.

        The logit of a class is the model's own for the image and the text; its probability the softmax over all
        prompts, or, of a model that was trained with a sigmoid as SigLIP was, the sigmoid of the logit.

        Args:
            prompts: Texts, such as `["a photo of a dog", "a photo of a cat"]`, which are the names of the classes; or a
                text for each name, `{"dog": "a photo of a dog"}`, or several, whose embeddings are averaged.

        Raises:
            TargetError: The model has no text tower; or a prompt is not a text, is empty, or has more tokens than the
                model reads.
            OptionError: There are no prompts, two are the same, or the tokenizer is missing.
        """
        parsed = Prompts.parse(prompts)
        if self._encoder is None:
            raise no_text_tower(parsed.texts[0][0])
        return self._with_prompts(parsed)

    def holding_prompts(self) -> AbstractContextManager[None]:
        """Return a context in which prompts keep their embeddings, while the weights are others for a moment.

        A prompt is what an image is compared with, and no part of the model that is explained.
        """
        return nullcontext() if self._encoder is None else self._encoder.held()

    def with_text_inputs(self, inputs: Any) -> "tuple[Classifier, Any] | None":
        """Return a classifier whose classes are the texts among a model's inputs, and the images; else None.

        Args:
            inputs: The model's own inputs, such as a dict with `pixel_values` and `input_ids`.

        Raises:
            InputError: Prompts are the classes already.
        """
        split = split_texts(self._encoder, self.prompts, inputs)
        return None if split is None else (self._with_prompts(split[0]), split[1])

    def resolve(self, targets: TargetSpec, output: int | str | None = None) -> Target:
        """Return whatever a caller gave as targets, with every class as an index and every prompt as its embedding.

        Args:
            targets: As for `Explainer.explain`.
            output: The output of the model that is explained, where one is named.

        Raises:
            TargetError: They are no targets, or not for this model.
        """
        target = resolve(targets, self.find_class).with_prompts(
            lambda text: prompt_target(self._encoder, self.prompts, text, str(self.name))
        )
        if self._encoder is not None and self.prompts is None and output is None and target.reads_classes:
            raise TargetError(no_classes(str(self.name)))
        self._renew_prompts()
        return target

    @overload
    def preprocess(self, images: Sequence[ImageLike]) -> Inputs: ...

    @overload
    def preprocess(self, images: Sequence[Sample]) -> SampleInputs: ...

    def preprocess(self, images: Sequence[ImageLike] | Sequence[Sample]) -> Inputs | SampleInputs:
        """Turn images into the model's input, and record which part of each image it shows.

        Args:
            images: Paths, PIL images or uint8 arrays (H, W, 3), of any sizes. For a model with several inputs samples:
                dicts of images and other values by the names of the inputs, or lists of them in order.

        Returns:
            `Inputs`: float32 (N, h, w, 3), or (N, 3, h, w) if the model takes channels first; and a placement for
            each image. For samples `SampleInputs`, with an array for each input.

        Raises:
            ImageError: An image cannot be read.
            InputError: A sample does not have a value for each input, or a value does not fit its input.
            ModelError: The input size is unknown.
        """
        if any(map(is_sample, images)):
            return preprocess_samples(self, images)  # type: ignore[arg-type]
        if self._encoder is None and self.framework.input_count() > 1:
            raise needs_samples(self.name, self.framework)
        preprocessing = preprocessing_of(self)
        if self.framework.channels_first:
            preprocessing = dataclasses.replace(preprocessing, channels_first=True)
        return preprocessing([read(image) for image in images])  # type: ignore[arg-type]

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
        if self._encoder is not None and self.prompts is None:
            raise ModelError(f"Cannot predict: {no_classes(str(self.name))}")
        self._renew_prompts()
        given: Inputs | SampleInputs = self.preprocess(images)
        inputs = given.values if isinstance(given, SampleInputs) else self.framework.check_inputs(given)
        probabilities = self.framework.predict(inputs)
        if probabilities is None and self.prompts is not None:
            raise ModelError(
                f"Cannot predict: the only class of {self.name!r} is the prompt {short_repr(self.prompts.names[0])}, "
                "and a probability compares it with others. Give two prompts or more."
            )
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
        prompts = [] if self.prompts is None else [[list(texts) for texts in self.prompts.texts]]
        facts = [self.framework.fingerprint(), self._input_size, finish, preprocessing, names, *prompts]
        own = [self.preprocess_by_input, self.size_by_input]
        return fingerprint([*facts, own] if any(own) else facts, ())

    def may_need_preprocessing(self, inputs: Any) -> bool:
        """Whether these checked inputs are pixels in 0..255, and no preprocessing was given."""
        return not self.has_preprocessing and are_pixels(only_leaf(inputs))

    def preprocessing_hint(self, inputs: Any) -> str | None:
        """Return a warning that the model probably needs preprocessing, or None if it scales pixels itself.

        This may run the model. Call it once, with checked inputs for which `may_need_preprocessing` is true.
        """
        return unscaled_hint(str(self.name)) if self.framework.is_unscaled(inputs) else None

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
        if isinstance(query, str) and self._encoder is not None:
            raise TargetError(f"{short_repr(query)} is no class. {no_classes(str(self.name))}")
        if isinstance(query, str):
            raise TargetError(
                f"The class {query!r} was given by name, and the model's class names are not known. Give its index, "
                "or the names: seewhy.Classifier(model, class_names=[...])."
            )
        return int(query)

    def replace(
        self,
        *,
        preprocess: AnyPreprocessing | Mapping[str, AnyPreprocessing] | None = None,
        class_names: Sequence[str] | None = None,
        input_size: tuple[int, ...] | None = None,
    ) -> "Classifier":
        """Return a classifier of the same model with other preprocessing, class names or input size.

        Args:
            preprocess: As for `Classifier`; None keeps that of this classifier.
            class_names: As for `Classifier`; None keeps those of this classifier.
            input_size: (h, w) in pixels; None keeps that of this classifier.
        """
        kept = self.preprocess_by_input or self.preprocessing or self._finish
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
        replaced = Classifier(
            self.model,
            preprocess=chosen,
            class_names=kept_names if class_names is None else class_names,
            input_size=input_size or self.size_by_input or kept_size,
            name=self.name,
            layer=self.layer,
            backend=self.backend,
            sample_rate=self.sample_rate,
        )
        has_tokenizer = self._encoder is not None and self._encoder.tokenizer is not None
        if has_tokenizer or self.prompts is not None:  # else the new preprocessing may have one
            replaced._take_prompts(self._encoder, self.prompts)
        return replaced

    def _with_prompts(self, prompts: Prompts) -> "Classifier":
        """Return the classifier with prompts as its classes."""
        made = Classifier(
            self.model,
            preprocess=self.preprocessing or self._finish,
            class_names=prompts.names,
            input_size=self._input_size,
            name=self.name,
            layer=self.layer,
            backend=self.backend,
            sample_rate=self.sample_rate,
        )
        made._take_prompts(self._encoder, prompts)
        return made

    def _take_prompts(self, encoder: TextEncoder | None, prompts: Prompts | None) -> None:
        """Share the embeddings that an encoder holds, and take prompts as the classes; they may have other names."""
        if prompts is not None and self.class_names is not None and len(self.class_names) != len(prompts.names):
            names = counted(len(self.class_names), "class name")
            raise ModelError(
                f"There are {names} and {counted(len(prompts.names), 'prompt')}, "
                "which are the classes. Give a name for each prompt, or none."
            )
        self._encoder, self.prompts = encoder, prompts
        self._renew_prompts()

    def _renew_prompts(self) -> None:
        renew_classes(self._encoder, self.prompts, self._frameworks.values())

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
        return save_classifier(self, path)
