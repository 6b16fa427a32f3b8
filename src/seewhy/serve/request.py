"""From what was sent to what is answered."""

import base64
import dataclasses
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy import methods as all_methods
from seewhy.errors import LayerError, MethodError, OptionError, TargetError
from seewhy.explainer import Explainer
from seewhy.images.reading import read_bytes
from seewhy.images.writing import image_writer
from seewhy.results.comparison import Comparison
from seewhy.results.explanation import Explanation
from seewhy.serve.schemas import ExplainFields
from seewhy.serve.served_models import ServedModel, find
from seewhy.serve.settings import MAX_MAPS, MAX_TARGETS
from seewhy.serve.uploads import Upload
from seewhy.serve.worker import Job, ProgressEvent
from seewhy.targets import resolve
from seewhy.viewer.photos import PhotoLimits
from seewhy.viewer.report import HEADING, page_of
from seewhy.viewer.viewer_data import document_of

MEDIA_TYPES = {
    "json": "application/json",
    "document": "application/json",
    "html": "text/html; charset=utf-8",
    "png": "image/png",
}

SHOWN_PHOTO = PhotoLimits(side=2048, png_bytes=300_000)


@dataclass(frozen=True)
class ExplainRequest:
    """What is asked of one image: everything is known to exist before it takes its turn."""

    upload: Upload
    model: ServedModel
    explainers: tuple[Explainer, ...]
    targets: list[str]
    format: str
    max_pixels: int

    @classmethod
    def of(
        cls, upload: Upload, fields: ExplainFields, served_models: Mapping[str, ServedModel], max_pixels: int
    ) -> "ExplainRequest":
        """Read the fields.

        Raises:
            UsageError: They name a model, layer, method or class that is not there, or ask for too much.
        """
        model = find(served_models, fields.model)
        targets = _split(fields.targets)
        _check_targets(targets, model)
        methods = _split(fields.methods)
        layers = _split(fields.layers)
        if not methods:
            raise MethodError(f"methods is {fields.methods!r}; expected names of methods, with commas between.")
        if not layers:
            raise LayerError(f"layers is {fields.layers!r}; expected paths of layers, with commas between, or 'auto'.")
        if len(methods) * len(layers) > MAX_MAPS:
            raise OptionError(
                f"{len(methods)} methods and {len(layers)} layers are {len(methods) * len(layers)} maps; the limit is "
                f"{MAX_MAPS}. Ask for fewer at once."
            )
        explainers = tuple(
            model.explainer(method, layer, fields.score, fields.signed)
            for method in methods
            for layer in (layers if all_methods.get(method).level == "layer" else layers[:1])
        )
        return cls(upload, model, explainers, targets, fields.format, max_pixels)

    def answer(self, job: Job) -> bytes:
        """Explain, and write the answer in the format that was asked for; the worker's thread does this.

        Raises:
            SeewhyError: The image cannot be read, or the model failed.
            StoppedError: Nobody waits for the answer any more, or the time is over.
        """
        start = time.monotonic()
        explanations = self._explain(job)
        job.tell(ProgressEvent(len(self.explainers), len(self.explainers), "writing the answer"))
        if self.format == "png":
            return _png(explanations)
        if self.format == "html":
            return page_of(explanations, SHOWN_PHOTO, HEADING).encode()
        facts = {"model": self.model.name, "seconds": round(time.monotonic() - start, 3)}
        if self.format == "document":
            return _json({**facts, "document": document_of(explanations, limits=SHOWN_PHOTO)})
        return _json({**facts, **_numbers(explanations)})

    def _explain(self, job: Job) -> list[Explanation]:
        pixels = read_bytes(self.upload.image, self.upload.name, max_pixels=self.max_pixels)
        explanations = []
        for part, explainer in enumerate(self.explainers, 1):
            job.tell(ProgressEvent(part, len(self.explainers), explainer.method.title))
            (explanation,) = explainer.explain([pixels], self.targets)
            explanations.append(dataclasses.replace(explanation, source=self.upload.name))
        return explanations


def _check_targets(targets: Sequence[str], model: ServedModel) -> None:
    if not targets:
        raise TargetError("targets is empty; expected top-3, or classes with commas between.")
    resolved = resolve(list(targets), model.classifier.find_class)
    resolved.check_outputs((1, model.class_count))
    if resolved.target_count is not None and resolved.target_count > MAX_TARGETS:
        raise TargetError(
            f"{resolved.target_count} classes were asked for; the limit is {MAX_TARGETS}. Ask for fewer at once."
        )


def _split(given: str) -> list[str]:
    """Return what stands between commas, each once."""
    return list(dict.fromkeys(part.strip() for part in given.split(",") if part.strip()))


def _numbers(explanations: Sequence[Explanation]) -> dict[str, Any]:
    first = explanations[0]
    height, width = first.placement.image_size
    return {
        "image": {"name": first.source, "width": width, "height": height},
        "predictions": [each._asdict() for each in first.predictions[:5]],
        "maps": [
            {
                "method": each.method,
                "title": each.title,
                "layer": each.layer,
                "box": [float(edge) for edge in each.placement.box],
                "targets": [vars(target) for target in each.targets],
                "heatmaps": {"shape": each.heatmaps.shape, "data": _base64(each.heatmaps)},
            }
            for each in explanations
        ],
    }


def _png(explanations: Sequence[Explanation]) -> bytes:
    several = Comparison(tuple(explanations))
    pixels = explanations[0].pixels() if len(explanations) == 1 else several.pixels()
    file = io.BytesIO()
    image_writer(pixels, ".png")(file)
    return file.getvalue()


def _base64(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def _json(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
