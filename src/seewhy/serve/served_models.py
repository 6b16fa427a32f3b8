"""The served models: their names, their layers and classes, and their explainers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath

import numpy as np

from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.errors import ModelError, did_you_mean
from seewhy.explainer import Explainer
from seewhy.frameworks import LayerCall
from seewhy.models import Classifier
from seewhy.types import Score

MAX_EXPLAINERS = 64
"""How many explainers are cached for each model; compiled functions are cached by the model itself."""

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

    Raises:
        ModelError: The model is a detector, its outputs are not class scores, or the input size is not fixed.
        SeewhyError: The model cannot be explained.
    """

    def __init__(self, name: str, classifier: Classifier, progress: ProgressCallback) -> None:
        self.name, self.classifier = name, classifier
        self._progress = progress
        self.explainer = lru_cache(MAX_EXPLAINERS)(self._make_explainer)
        grey = np.full((*classifier.input_size, 3), 128, dtype=np.uint8)
        framework = classifier.framework
        inputs = framework.check_inputs(classifier.preprocess([grey]))
        if framework.detector(inputs) is not None:
            raise ModelError(
                f"{name} is a detector, and the web page explains the classes of an image. Use 'seewhy explain', whose "
                "report shows each detection; or the Python library."
            )
        calls = framework.calls(inputs)
        self.layers = _explainable_layers(calls)
        names = classifier.class_names
        self.class_count = len(names if names is not None else classifier.predict([grey])[0])
        targets = f"top-{min(DEFAULT_TARGETS, self.class_count)}"
        (explanation,) = self.explainer("auto", "auto").explain([grey], targets)
        if not explanation.predictions:
            raise ModelError(
                f"The outputs of {name} are not class scores, which the web page needs. Use the Python library."
            )
        self.default_layer = explanation.layer

    def search_classes(self, query: str, limit: int) -> list[ClassRow]:
        """Search classes by name, id or index: exact matches first, then names that begin with the query."""
        query = _folded(query)
        ranked = [(rank, index) for index in range(self.class_count) if (rank := self._rank(index, query)) is not None]
        return [self._class_row(index) for _, index in sorted(ranked)[:limit]]

    def _make_explainer(self, method: str, layer: str, score: Score = "logit", signed: bool = False) -> Explainer:
        return Explainer(self.classifier, method, layer, score, signed=signed, progress=self._progress)

    def _class_row(self, index: int) -> ClassRow:
        return ClassRow(index, self.classifier.class_name(index), self.classifier.class_id(index))

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
