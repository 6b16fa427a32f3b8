"""The application: the API, the page, and the middleware that protects them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import seewhy
from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.serve.api import explain_router
from seewhy.serve.catalog import catalog_router
from seewhy.serve.decoders import Decoders
from seewhy.serve.error_responses import add_error_handlers
from seewhy.serve.security import SecurityMiddleware
from seewhy.serve.served_models import ServedModel
from seewhy.serve.settings import Settings
from seewhy.serve.worker import Worker
from seewhy.viewer.assets import ASSETS
from seewhy.viewer.report import report_template

PAGE = Path(__file__).parent / "page"


def make_app(make_models: Callable[[ProgressCallback], Mapping[str, ServedModel]], settings: Settings) -> ASGIApp:
    """Create the application.

    Args:
        make_models: Returns the served models by name, given the function to which their explainers report progress.
        settings: The server's settings.

    Raises:
        SeewhyError: A model cannot be served.
    """
    worker = Worker(settings.slots, settings.time_limit)
    models = make_models(worker.report_progress)
    decoders = Decoders(settings.decode_time_limit, settings.max_pixels)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        decoders.start()
        yield
        # In threads, for the model may run on: meanwhile the requests that were stopped get their responses.
        await asyncio.to_thread(decoders.close)
        await asyncio.to_thread(worker.close)

    app = FastAPI(
        title="SeeWhy",
        version=seewhy.__version__,
        description="Shows which parts of an image are evidence for what a neural network predicts.",
        docs_url=None,  # FastAPI's own pages load scripts from other sites
        redoc_url=None,
        lifespan=lifespan,
    )
    add_error_handlers(app)
    app.include_router(explain_router(models, worker, decoders, settings))
    app.include_router(catalog_router(models, worker, settings))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/report.html", include_in_schema=False)
    async def report() -> HTMLResponse:
        return HTMLResponse(report_template())

    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/viewer", StaticFiles(directory=ASSETS))
    return SecurityMiddleware(app, settings.hosts)  # outermost: error responses get its headers too
