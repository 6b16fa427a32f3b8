"""The catalog: the routes that list models, layers, classes and methods."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query

from seewhy.methods import AUTO, METHODS
from seewhy.serve import schemas
from seewhy.serve.openapi_errors import openapi_errors
from seewhy.serve.served_models import ServedModel, find_model
from seewhy.serve.settings import Settings
from seewhy.serve.worker import Worker

ModelName = Annotated[str, Path(description="A model of GET api/models.")]


def catalog_router(models: Mapping[str, ServedModel], worker: Worker, settings: Settings) -> APIRouter:
    """Return the router with the routes of the catalog."""
    router = APIRouter()

    @router.get("/api/models", responses=openapi_errors())
    async def list_models() -> schemas.ModelList:
        """List the models, and the limits of a request."""
        limits = schemas.Limits(
            max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, time_limit=settings.time_limit
        )
        return schemas.ModelList(models=[_model_info(model) for model in models.values()], limits=limits)

    @router.get("/api/models/{name}/layers", responses=openapi_errors(404, 422))
    async def list_layers(name: ModelName) -> schemas.LayerList:
        """List the layers of a model that can be explained."""
        return schemas.LayerList(layers=_layer_infos(find_model(models, name)))

    @router.get("/api/models/{name}/classes", responses=openapi_errors(404, 422))
    async def search_classes(
        name: ModelName,
        search: Annotated[str, Query(max_length=100, description="Part of a name, an id, or an index.")] = "",
        limit: Annotated[int, Query(ge=1, le=100, description="The maximum number of classes to return.")] = 20,
    ) -> schemas.ClassList:
        """Search the classes of a model."""
        rows = find_model(models, name).search_classes(search, limit)
        return schemas.ClassList(classes=[schemas.ClassInfo(**vars(row)) for row in rows])

    @router.get("/api/methods", responses=openapi_errors())
    async def list_methods() -> schemas.MethodList:
        """List the methods."""
        return schemas.MethodList(methods=_method_infos())

    @router.get("/healthz", responses=openapi_errors())
    async def health() -> schemas.Health:
        """Return whether the server is up, and how many slots are taken."""
        return schemas.Health(slots_taken=worker.slots_taken, slots=worker.slots)

    return router


def _model_info(model: ServedModel) -> schemas.ModelInfo:
    return schemas.ModelInfo(
        name=model.name,
        kind=model.kind,
        input_size=model.classifier.input_size,
        class_count=model.class_count,
        has_class_names=model.classifier.class_names is not None,
        default_layer=model.default_layer,
    )


def _layer_infos(model: ServedModel) -> list[schemas.LayerInfo]:
    return [
        schemas.LayerInfo(
            path=call.path, kind=call.kind, shape=list(call.shape or ()), is_default=call.path == model.default_layer
        )
        for call in model.layers
    ]


def _method_infos() -> list[schemas.MethodInfo]:
    return [
        schemas.MethodInfo(
            name=method.name,
            title=method.title,
            family=method.family,
            level=method.level,
            summary=method.summary,
            cost=method.cost,
            paper=method.paper,
            reports_progress=method.needs_runner,
        )
        for method in (AUTO, *METHODS.values())
    ]
