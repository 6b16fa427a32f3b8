"""The route that explains an image."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from seewhy.errors import OptionError
from seewhy.serve import schemas
from seewhy.serve.decoders import Decoders
from seewhy.serve.job_stream import stream_job, wait_for_result
from seewhy.serve.openapi_errors import openapi_errors
from seewhy.serve.request import ExplainRequest
from seewhy.serve.response_body import MEDIA_TYPES
from seewhy.serve.served_models import ServedModel
from seewhy.serve.settings import Settings
from seewhy.serve.uploads import UploadBudget, read_form
from seewhy.serve.worker import Worker

JSON_LINES = "application/x-ndjson"

STREAM_AFTER = 0.5
"""Seconds after which a request that asks for progress gets it; a response that is ready earlier is one line."""


def explain_router(
    models: Mapping[str, ServedModel], worker: Worker, decoders: Decoders, settings: Settings
) -> APIRouter:
    """Return the router with the route that explains an image."""
    router = APIRouter()
    budget = UploadBudget(settings.slots * settings.max_bytes)

    @router.post("/api/explain", responses=_openapi_responses(), openapi_extra={"requestBody": _openapi_form()})
    async def explain(request: Request) -> Response:
        """Return heatmaps that show which parts of an image are evidence for a class."""
        upload = await read_form(request, settings, budget)
        with worker.slot() as slot:  # only now: clients that send slowly take no slots
            fields = schemas.ExplainFields.model_validate(upload.fields)
            if fields.progress and fields.format not in ("json", "viewer"):
                raise OptionError(f"progress needs format=json or format=viewer; given format={fields.format}.")
            explain_request = ExplainRequest.parse(upload.name, fields, models)
            job = slot.start(lambda: decoders.decode(upload.image, upload.name), explain_request.run)
        if fields.progress and not await job.wait(STREAM_AFTER):
            return StreamingResponse(stream_job(job, settings.time_limit), media_type=JSON_LINES)
        body = await wait_for_result(job, request, settings.time_limit)
        if fields.progress:
            return Response(b'{"result":' + body + b"}\n", media_type=JSON_LINES)
        return Response(body, media_type=MEDIA_TYPES[fields.format])

    return router


def _openapi_form() -> dict[str, Any]:
    return {"required": True, "content": {"multipart/form-data": {"schema": schemas.ExplainFields.form_schema()}}}


def _openapi_responses() -> dict[int | str, dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    content = {JSON_LINES: text, "text/html": text, "image/png": {"schema": {"type": "string", "format": "binary"}}}
    description = "The explanation in the requested format."
    return {
        200: {"model": schemas.ExplainResponse, "description": description, "content": content},
        **openapi_errors(400, 404, 408, 413, 415, 422, 503, 504),
    }
