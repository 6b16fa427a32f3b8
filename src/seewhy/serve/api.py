"""What can be asked, and how an answer comes about."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from seewhy.errors import OptionError
from seewhy.serve import schemas, shelf
from seewhy.serve.explaining import MEDIA_TYPES, Question
from seewhy.serve.forms import read_form
from seewhy.serve.settings import Settings
from seewhy.serve.shelf import Served
from seewhy.serve.waiting import lines_of, result_of
from seewhy.serve.worker import Worker

LINES = "application/x-ndjson"

_EVERYWHERE = (403, 421, 500)
_FAILURES = {
    400: "The form cannot be read.",
    403: "The request comes from a page of another site.",
    404: "There is no such model.",
    408: "The request did not arrive in time.",
    413: "Too many bytes, or too many pixels.",
    415: "No form, or no picture.",
    421: "The server does not go by this name.",
    422: "A field, or the picture, is not what it should be.",
    500: "The server or the network failed.",
    503: "All places are taken; Retry-After says when to come again.",
    504: "It took longer than the time limit.",
}


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    listed = sorted({*_EVERYWHERE, *statuses})
    return {status: {"model": schemas.Failure, "description": _FAILURES[status]} for status in listed}


def _explain_answers() -> dict[int | str, dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    content = {LINES: text, "text/html": text, "image/png": {"schema": {"type": "string", "format": "binary"}}}
    answers = _failures(400, 404, 408, 413, 415, 422, 503, 504)
    return {200: {"model": schemas.Explained, "description": "As `format` asks.", "content": content}, **answers}


def api(models: Mapping[str, Served], worker: Worker, settings: Settings) -> APIRouter:
    """Return the routes of the JSON API."""
    router = APIRouter()

    @router.post(
        "/api/explain",
        responses=_explain_answers(),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": schemas.Fields.form_schema()}},
            }
        },
    )
    async def explain(request: Request) -> Response:
        """Show which parts of a picture speak for a class."""
        with worker.place() as place:  # before the body is read: what waits in memory is bounded too
            upload = await read_form(request, settings)
            fields = schemas.Fields.model_validate(upload.fields)
            if fields.progress and fields.format not in ("json", "document"):
                raise OptionError(f"progress goes with the formats json and document; given {fields.format!r}.")
            question = Question.of(upload, fields, models, settings.max_pixels)
            job = place.begin(question.answer)
        if fields.progress and not await job.is_through(0.5):
            return StreamingResponse(lines_of(job, settings.time_limit), media_type=LINES)
        content = await result_of(job, request, settings.time_limit)
        if fields.progress:
            return Response(b'{"result":' + content + b"}\n", media_type=LINES)
        return Response(content, media_type=MEDIA_TYPES[fields.format])

    @router.get("/api/models", responses=_failures())
    async def list_models() -> schemas.Models:
        """List the models."""
        return schemas.Models(
            models=[
                schemas.Model(
                    name=each.name,
                    input_size=each.classifier.input_size,
                    classes=each.class_count,
                    has_names=each.classifier.class_names is not None,
                    layer=each.layer,
                )
                for each in models.values()
            ]
        )

    @router.get("/api/models/{name}/layers", responses=_failures(404, 422))
    async def list_layers(name: str) -> schemas.Layers:
        """List the layers of a model that can be explained."""
        model = shelf.find(models, name)
        return schemas.Layers(
            layers=[
                schemas.Layer(
                    path=each.path, kind=each.kind, shape=list(each.shape or ()), is_default=each.path == model.layer
                )
                for each in model.layers
            ]
        )

    @router.get("/api/models/{name}/classes", responses=_failures(404, 422))
    async def search_classes(
        name: str,
        search: Annotated[str, Query(max_length=100, description="A part of a name, an id or an index.")] = "",
        limit: Annotated[int, Query(ge=1, le=100, description="The most classes to return.")] = 20,
    ) -> schemas.Classes:
        """Search the classes of a model."""
        found = shelf.find(models, name).search(search, limit)
        return schemas.Classes(classes=[schemas.Class(**vars(each)) for each in found])

    @router.get("/api/methods", responses=_failures())
    async def list_methods() -> schemas.Methods:
        """List the methods."""
        return schemas.Methods(methods=[schemas.Method(**each) for each in shelf.methods()])

    @router.get("/healthz", responses=_failures())
    async def health() -> schemas.Health:
        """Say whether the server is well."""
        return schemas.Health(jobs=worker.taken, places=worker.places)

    return router
