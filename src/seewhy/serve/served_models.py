"""The models that a server was started with, and what can be asked of each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any

import numpy as np

from seewhy.attribution.runner import ProgressCallback
from seewhy.errors import ModelError, did_you_mean
from seewhy.explainer import Explainer
from seewhy.frameworks import LayerCall
from seewhy.methods import METHODS
from seewhy.models import Classifier
from seewhy.types import Score

MAX_EXPLAINERS = 64
"""How many explainers one model keeps, which are small; what a model compiled is kept by the model itself."""

FIRST = 5
"""How many classes the page asks of a new image, which a model is made ready for when the server starts."""


@dataclass(frozen=True)
class ClassRow:
    """A class of a model; `id` is ImageNet's wnid, or None."""

    index: int
    name: str
    id: str | None


class ServedModel:
    """A model that is served: what it is called, its layers and classes, and its explainers.

    Args:
        name: What it is called in addresses.
        classifier: The model.
        progress: What its explainers tell how far they have come.

    Raises:
        ModelError: Its outputs are not class scores, or it does not say what images it takes.
        SeewhyError: It cannot be explained.
    """

    def __init__(self, name: str, classifier: Classifier, progress: ProgressCallback) -> None:
        self.name, self.classifier = name, classifier
        self._progress = progress
        self.explainer = lru_cache(MAX_EXPLAINERS)(self._explainer)
        grey = np.full((*classifier.input_size, 3), 128, dtype=np.uint8)
        calls = classifier.framework.calls(classifier.framework.check_inputs(classifier.preprocess([grey])))
        self.layers = tuple(_explainable(calls))
        names = classifier.class_names
        self.class_count = len(names if names is not None else classifier.predict([grey])[0])
        (explanation,) = self.explainer("gradcam", "auto").explain([grey], f"top-{min(FIRST, self.class_count)}")
        if not explanation.predictions:
            raise ModelError(f"{name} gives no class scores, and the web page asks about classes. Use the library.")
        self.layer = explanation.layer

    def search(self, query: str, limit: int) -> list[ClassRow]:
        """Find classes by a part of a name, by id or by index: those first whose name begins so, then by index."""
        query = _folded(query)
        ranked = [(rank, index) for index in range(self.class_count) if (rank := self._rank(index, query)) is not None]
        return [self._row(index) for _, index in sorted(ranked)[:limit]]

    def _explainer(self, method: str, layer: str, score: Score = "logit", signed: bool = False) -> Explainer:
        return Explainer(self.classifier, method, layer, score, signed=signed, progress=self._progress)

    def _row(self, index: int) -> ClassRow:
        return ClassRow(index, self.classifier.class_name(index), self.classifier.class_id(index))

    def _rank(self, index: int, query: str) -> int | None:
        """Return how well a class fits, 0 the best; None if it does not."""
        row, known = self._row(index), self.classifier.class_names
        name, synonyms = _folded(row.name), known.synonyms[index] if known is not None and known.synonyms else ()
        if query in (str(index), row.id, name):
            return 0
        if name.startswith(query):
            return 1
        if f" {query}" in name:
            return 2
        return 3 if any(query in each for each in (name, *map(_folded, synonyms))) else None


def serve_models(classifiers: Sequence[tuple[str, Classifier]], progress: ProgressCallback) -> dict[str, ServedModel]:
    """Make models ready to be served.

    Args:
        classifiers: Each with the source it was loaded from, which gives it its name.
        progress: As for `ServedModel`.

    Returns:
        The models by name, in that order.
    """
    served_models: dict[str, ServedModel] = {}
    for source, classifier in classifiers:
        wanted = name = short_name(source)
        number = 1
        while name in served_models:
            number += 1
            name = f"{wanted}-{number}"
        served_models[name] = ServedModel(name, classifier, progress)
    return served_models


def find(served_models: Mapping[str, ServedModel], name: str | None) -> ServedModel:
    """Return a model by name, the first for None, or raise ModelError."""
    if name is None:
        return next(iter(served_models.values()))
    if name not in served_models:
        raise ModelError(
            f"There is no model {name!r} here.{did_you_mean(name, served_models)} Models: "
            f"{', '.join(served_models)}. A server has those that it was started with."
        )
    return served_models[name]


def short_name(source: str) -> str:
    """Return a name that fits into an address and says nothing of the disk: a file's name without its suffix."""
    is_file = source.endswith((".keras", ".h5")) or "/" in source or "\\" in source
    last = PurePath(source.replace("\\", "/")).stem if is_file and not source.startswith("timm:") else source
    return re.sub(r"[^\w.:+-]+", "-", last).strip("-.") or "model"


def methods() -> list[dict[str, Any]]:
    """Return what is to be known of every method."""
    facts = ("name", "title", "family", "summary", "cost", "resolution", "paper")
    return [{**{fact: getattr(each, fact) for fact in facts}, "reruns": each.reruns} for each in METHODS.values()]


def _explainable(calls: Iterable[LayerCall]) -> list[LayerCall]:
    """Return the layers whose maps can be laid over an image: with two axes of space; of each its last call."""
    found = {call.path: call for call in calls if call.has_space and call.shape is not None and len(call.shape) == 3}
    return list(found.values())


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
