"""The served models: their names, their layers and classes, and their explainers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Literal

import numpy as np

from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.attribution.pixel_classes import predict_pixels, read_output, scores_pixels
from seewhy.errors import LayerError, ModelError, NotPredictedError, TargetError, did_you_mean
from seewhy.explainer import Explainer
from seewhy.frameworks import LayerCall
from seewhy.frameworks.structures import InputBatch
from seewhy.models import Classifier
from seewhy.results.explanation import Explanation
from seewhy.targets import Class, Combined, Regression, Target
from seewhy.targets.regression import output_name
from seewhy.types import ImageArray, Score

MAX_EXPLAINERS = 64
"""How many explainers are cached for each model; compiled functions are cached by the model itself."""

ModelKind = Literal["classifier", "detector", "segmenter", "value"]

AT_MOST: tuple[ModelKind, ...] = ("detector", "segmenter")
"""The kinds of models in whose images "top-5" is at most five targets."""

MAX_DIGITS = 9
"""How many digits the index of a class has at most, of a detector that does not say how many classes it has."""

DEFAULT_TARGETS = 5
"""How many classes the page requests for a new image; each model is compiled for them when the server starts."""


@dataclass(frozen=True)
class ClassRow:
    """A class of a model; `id` is the ImageNet wnid, or None."""

    index: int
    name: str
    id: str | None


class ServedModel:
    """A served model.

    Args:
        name: The name of the model in URLs.
        classifier: The model.
        progress: Receives the progress of its explainers.

    Attributes:
        kind: What its targets are: classes of the image, detections, the pixels predicted as a class, or one value.
        layers: The layers that can be explained.
        class_count: The number of classes; 0 for a detector that does not say how many it has.
        default_layer: The layer that "auto" selects; empty where it differs between targets, as in a detector.

    Raises:
        ModelError: The outputs are neither class scores, of images or of pixels, nor boxes nor one value; or the input
            size is not fixed.
        SeewhyError: The model cannot be explained.
    """

    def __init__(self, name: str, classifier: Classifier, progress: ProgressCallback) -> None:
        self.name, self.classifier = name, classifier
        self._progress = progress
        self.explainer = lru_cache(MAX_EXPLAINERS)(self._make_explainer)
        grey = np.full((*classifier.input_size, 3), 128, dtype=np.uint8)
        framework = classifier.framework
        inputs = framework.check_inputs(classifier.preprocess([grey]))
        self.layers = _explainable_layers(framework.calls(inputs))
        self.kind, self.class_count = self._kind_and_classes(inputs)
        explanation = self._first_explanation(grey)
        if explanation is not None and not explanation.predictions and self.kind == "classifier":
            raise ModelError(
                f"The outputs of {name} are not class scores, which the web page needs. Use the Python library."
            )
        self.default_layer = "" if explanation is None or self.kind == "detector" else explanation.layer

    def _kind_and_classes(self, inputs: InputBatch) -> tuple[ModelKind, int]:
        """Return the kind of the model, and the number of its classes."""
        framework, names = self.classifier.framework, self.classifier.class_names
        detector = framework.detector(inputs)
        if detector is not None:
            found = (detection.probabilities for detection in detector.detections(inputs))
            known = next((len(probabilities) for probabilities in found if probabilities is not None), 0)
            return "detector", known if names is None else len(names)
        outputs = read_output(framework, inputs, None)[0]
        if outputs.ndim > 2 and scores_pixels(framework, inputs, None):
            return "segmenter", predict_pixels(framework, self.classifier, inputs, None).masks.shape[1]
        probabilities = framework.predict(inputs)
        if probabilities is None and outputs.size == 1:
            return "value", 1
        return "classifier", len(names) if names is not None else 0 if probabilities is None else probabilities.shape[1]

    def _first_explanation(self, grey: ImageArray) -> Explanation | None:
        """Explain a grey image, for which the model is compiled; return None if it finds nothing to explain in it."""
        top = DEFAULT_TARGETS if self.kind in AT_MOST else min(DEFAULT_TARGETS, max(self.class_count, 1))
        try:
            (explanation,) = self.explainer("auto", "auto").explain([grey], f"top-{top}")
        except NotPredictedError:
            return None
        except LayerError:
            if self.kind != "detector":  # whose detections in another image have other layers
                raise
            return None
        return explanation

    def check_target(self, target: Target) -> None:
        """Raise TargetError if the model does not have the classes of a target."""
        if self.kind not in AT_MOST:
            target.check_outputs((1, self.class_count))
            return
        for part in target.parts if isinstance(target, Combined) else (target,):
            if isinstance(part, Class) and self.class_count:
                part.check_outputs((1, self.class_count))
            elif not part.is_classes:
                given = repr(output_name(part.index)) if isinstance(part, Regression) else repr(part)
                raise TargetError(
                    f"{given} is no target of {self.name}, which is a {self.kind}. Give classes or 'top-3'."
                )

    def search_classes(self, query: str, limit: int) -> list[ClassRow]:
        """Search classes by name, id or index: exact matches first, then names that begin with the query."""
        query = _folded(query)
        if not self.class_count:
            return [self._class_row(int(query))] if query.isdecimal() and len(query) <= MAX_DIGITS else []
        ranked = [(rank, index) for index in range(self.class_count) if (rank := self._rank(index, query)) is not None]
        return [self._class_row(index) for _, index in sorted(ranked)[:limit]]

    def _make_explainer(self, method: str, layer: str, score: Score = "logit", signed: bool = False) -> Explainer:
        return Explainer(self.classifier, method, layer, score, signed=signed, progress=self._progress)

    def _class_row(self, index: int) -> ClassRow:
        is_unnamed_value = self.kind == "value" and self.classifier.class_names is None
        name = output_name(index) if is_unnamed_value else self.classifier.class_name(index)
        return ClassRow(index, name, self.classifier.class_id(index))

    def _rank(self, index: int, query: str) -> int | None:
        """Return how well a class matches, 0 for an exact match; None if it does not match."""
        row, class_names = self._class_row(index), self.classifier.class_names
        synonyms = class_names.synonyms[index] if class_names is not None and class_names.synonyms else ()
        name = _folded(row.name)
        if query in (str(index), row.id, name):
            return 0
        if name.startswith(query):
            return 1
        if f" {query}" in name:
            return 2
        return 3 if any(query in text for text in (name, *map(_folded, synonyms))) else None


def serve_models(classifiers: Sequence[tuple[str, Classifier]], progress: ProgressCallback) -> dict[str, ServedModel]:
    """Prepare models to be served.

    Args:
        classifiers: Each with the source it was loaded from, which determines its name.
        progress: As for `ServedModel`.

    Returns:
        The models by name, in the same order.
    """
    models: dict[str, ServedModel] = {}
    for source, classifier in classifiers:
        stem = name = short_name(source)
        number = 1
        while name in models:
            number += 1
            name = f"{stem}-{number}"
        models[name] = ServedModel(name, classifier, progress)
    return models


def find_model(models: Mapping[str, ServedModel], name: str | None) -> ServedModel:
    """Return the model with this name, or the first one for None.

    Raises:
        ModelError: There is no such model.
    """
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise ModelError(
            f"There is no model {name!r}.{did_you_mean(name, models)} Models: {', '.join(models)}. Restart the server "
            "with --model to serve others."
        )
    return models[name]


def short_name(source: str) -> str:
    """Return a name that is valid in a URL and reveals no folder: a file's name without its suffix."""
    if source.startswith("hf:"):
        source = PurePath(source.removeprefix("hf:")).name
    is_file = source.endswith((".keras", ".h5", ".onnx")) or "/" in source or "\\" in source
    stem = PurePath(source.replace("\\", "/")).stem if is_file and not source.startswith("timm:") else source
    return re.sub(r"[^\w.:+-]+", "-", stem).strip("-.") or "model"


def _explainable_layers(calls: Iterable[LayerCall]) -> tuple[LayerCall, ...]:
    """Return the last call of each layer whose output has two spatial axes, so that its heatmaps fit an image."""
    last_calls = {
        call.path: call for call in calls if call.has_space and call.shape is not None and len(call.shape) == 3
    }
    return tuple(last_calls.values())


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
