"""The application: the API, the page, and what guards them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import seewhy
from seewhy.attribution.runner import ProgressCallback
from seewhy.serve.api import explaining
from seewhy.serve.catalog import lists
from seewhy.serve.failures import answer_failures
from seewhy.serve.guards import Guards
from seewhy.serve.served_models import ServedModel
from seewhy.serve.settings import Settings
from seewhy.serve.worker import Worker
from seewhy.viewer.assets import ASSETS
from seewhy.viewer.report import empty_page

PAGE = Path(__file__).parent / "page"


def make_app(stock: Callable[[ProgressCallback], Mapping[str, ServedModel]], settings: Settings) -> ASGIApp:
    """Make the application.

    Args:
        stock: Makes the models ready that are served, given what their explainers tell how far they have come.
        settings: What is allowed.

    Raises:
        SeewhyError: A model cannot be served.
    """
    worker = Worker(settings.slots, settings.time_limit)
    models = stock(worker.tell)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        worker.close()

    app = FastAPI(
        title="SeeWhy",
        version=seewhy.__version__,
        description="Shows which part of an image made a neural network say that.",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    answer_failures(app)
    app.include_router(explaining(models, worker, settings))
    app.include_router(lists(models, worker, settings))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/report.html", include_in_schema=False)
    async def report() -> HTMLResponse:
        return HTMLResponse(empty_page())

    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/viewer", StaticFiles(directory=ASSETS))
    return Guards(app, settings.hosts)  # round everything: the answer to a failure has the headers too
