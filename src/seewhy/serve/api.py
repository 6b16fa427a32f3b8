"""The one question, and how its answer comes about."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from seewhy.errors import OptionError
from seewhy.serve import schemas
from seewhy.serve.job_results import lines_of, result_of
from seewhy.serve.openapi_failures import failures
from seewhy.serve.request import MEDIA_TYPES, ExplainRequest
from seewhy.serve.served_models import ServedModel
from seewhy.serve.settings import Settings
from seewhy.serve.uploads import read_form
from seewhy.serve.worker import Worker

LINES = "application/x-ndjson"


def _explain_answers() -> dict[int | str, dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    content = {LINES: text, "text/html": text, "image/png": {"schema": {"type": "string", "format": "binary"}}}
    answers = failures(400, 404, 408, 413, 415, 422, 503, 504)
    description = "The explanation, in the format that was asked for."
    return {200: {"model": schemas.ExplainResponse, "description": description, "content": content}, **answers}


def explaining(models: Mapping[str, ServedModel], worker: Worker, settings: Settings) -> APIRouter:
    """Return the route that explains an image."""
    router = APIRouter()

    @router.post(
        "/api/explain",
        responses=_explain_answers(),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": schemas.ExplainFields.form_schema()}},
            }
        },
    )
    async def explain(request: Request) -> Response:
        """Show which parts of an image speak for a class."""
        with worker.slot() as slot:  # before the body is read: what waits in memory is bounded too
            upload = await read_form(request, settings)
            fields = schemas.ExplainFields.model_validate(upload.fields)
            if fields.progress and fields.format not in ("json", "document"):
                raise OptionError(f"progress goes with the formats json and document; given {fields.format!r}.")
            objective = ExplainRequest.of(upload, fields, models, settings.max_pixels)
            job = slot.begin(objective.answer)
        if fields.progress and not await job.is_through(0.5):
            return StreamingResponse(lines_of(job, settings.time_limit), media_type=LINES)
        content = await result_of(job, request, settings.time_limit)
        if fields.progress:
            return Response(b'{"result":' + content + b"}\n", media_type=LINES)
        return Response(content, media_type=MEDIA_TYPES[fields.format])

    return router
