"""What there is to ask about: models, layers, classes and methods."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from seewhy.serve import schemas, served_models
from seewhy.serve.openapi_failures import failures
from seewhy.serve.served_models import ServedModel
from seewhy.serve.settings import Settings
from seewhy.serve.worker import Worker


def lists(models: Mapping[str, ServedModel], worker: Worker, settings: Settings) -> APIRouter:
    """Return the routes that list what there is."""
    router = APIRouter()

    @router.get("/api/models", responses=failures())
    async def list_models() -> schemas.ModelList:
        """List the models."""
        return schemas.ModelList(
            models=[
                schemas.ModelInfo(
                    name=each.name,
                    input_size=each.classifier.input_size,
                    classes=each.class_count,
                    has_names=each.classifier.class_names is not None,
                    layer=each.layer,
                )
                for each in models.values()
            ],
            limits=schemas.Limits(
                max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, time_limit=settings.time_limit
            ),
        )

    @router.get("/api/models/{name}/layers", responses=failures(404, 422))
    async def list_layers(name: str) -> schemas.LayerList:
        """List the layers of a model that can be explained."""
        model = served_models.find(models, name)
        return schemas.LayerList(
            layers=[
                schemas.LayerInfo(
                    path=each.path, kind=each.kind, shape=list(each.shape or ()), is_default=each.path == model.layer
                )
                for each in model.layers
            ]
        )

    @router.get("/api/models/{name}/classes", responses=failures(404, 422))
    async def search_classes(
        name: str,
        search: Annotated[str, Query(max_length=100, description="A part of a name, an id or an index.")] = "",
        limit: Annotated[int, Query(ge=1, le=100, description="The most classes to return.")] = 20,
    ) -> schemas.ClassList:
        """Search the classes of a model."""
        found = served_models.find(models, name).search(search, limit)
        return schemas.ClassList(classes=[schemas.ClassInfo(**vars(each)) for each in found])

    @router.get("/api/methods", responses=failures())
    async def list_methods() -> schemas.MethodList:
        """List the methods."""
        return schemas.MethodList(methods=[schemas.MethodInfo(**each) for each in served_models.methods()])

    @router.get("/healthz", responses=failures())
    async def health() -> schemas.Health:
        """Say whether the server is well."""
        return schemas.Health(jobs=worker.taken, slots=worker.slots)

    return router
