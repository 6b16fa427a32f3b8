"""The body of a response: explanations as JSON, viewer data, an HTML report or a PNG."""

import base64
import html
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seewhy.errors import SeewhyError
from seewhy.images.writing import image_writer
from seewhy.methods import Method
from seewhy.results.comparison import Comparison
from seewhy.results.explanation import Explanation
from seewhy.serve.error_responses import error_content, to_request_error
from seewhy.serve.schemas import Format
from seewhy.types import FloatArray
from seewhy.viewer.photos import PhotoLimits
from seewhy.viewer.report import HEADING, report_page
from seewhy.viewer.viewer_data import viewer_data

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "viewer": "application/json",
    "html": "text/html; charset=utf-8",
    "png": "image/png",
}

PHOTO_LIMITS = PhotoLimits(side=2048, png_bytes=300_000)
SHOWN_PREDICTIONS = 5


class Failure(NamedTuple):
    """An explanation that was requested beside others, and is not possible."""

    method: Method
    layer: str
    error: SeewhyError


def response_body(
    explanations: Sequence[Explanation], failures: Sequence[Failure], format_: Format, model: str, seconds: float
) -> bytes:
    """Return explanations of one image in one of the formats.

    Args:
        explanations: One for each method and layer.
        failures: The methods and layers without an explanation; none for "png", which cannot show them.
        format_: A key of `MEDIA_TYPES`.
        model: The name of the model, for the JSON formats.
        seconds: How long explaining took, for the JSON formats.
    """
    if format_ == "png":
        return _png(explanations)
    if format_ == "html":
        return report_page(explanations, PHOTO_LIMITS, HEADING + _failures_html(failures)).encode()
    facts = {"model": model, "seconds": round(seconds, 3), "errors": list(map(_failure_json, failures))}
    if format_ == "viewer":
        return _json({**facts, "viewer_data": viewer_data(explanations, limits=PHOTO_LIMITS)})
    return _json({**facts, **_explanations_json(explanations)})


def _explanations_json(explanations: Sequence[Explanation]) -> dict[str, object]:
    first = explanations[0]
    height, width = first.placement.image_size
    return {
        "image": {"name": first.source, "width": width, "height": height},
        "predictions": [prediction._asdict() for prediction in first.predictions[:SHOWN_PREDICTIONS]],
        "explanations": [_explanation_json(explanation) for explanation in explanations],
    }


def _explanation_json(explanation: Explanation) -> dict[str, object]:
    return {
        "method": explanation.method,
        "title": explanation.title,
        "layer": explanation.layer,
        "box": [float(edge) for edge in explanation.placement.heatmap_box],
        "targets": [vars(target) for target in explanation.targets],
        "heatmaps": {"shape": explanation.heatmaps.shape, "data": _base64(explanation.heatmaps)},
    }


def _failure_json(failure: Failure) -> dict[str, object]:
    error = error_content(to_request_error(failure.error))
    return {"method": failure.method.name, "title": failure.method.title, "layer": failure.layer, **error}


def _failures_html(failures: Sequence[Failure]) -> str:
    return "".join(
        f'<p class="intro">{html.escape(f"{failure.method.title} at {failure.layer}: {failure.error}")}</p>\n'
        for failure in failures
    )


def _png(explanations: Sequence[Explanation]) -> bytes:
    pixels = explanations[0].pixels() if len(explanations) == 1 else Comparison(tuple(explanations)).pixels()
    file = io.BytesIO()
    image_writer(pixels, ".png")(file)
    return file.getvalue()


def _base64(array: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
