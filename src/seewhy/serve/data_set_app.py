"""The application that shows the output of `seewhy batch`: one page, and a JSON API that reads it row by row."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import seewhy
from seewhy.datasets.decoding import DecoderProcesses
from seewhy.datasets.output import Output
from seewhy.datasets.overview.original_images import OriginalImages
from seewhy.datasets.overview.overview import make_overview
from seewhy.datasets.overview.page_sections import page_sections
from seewhy.datasets.overview.report import page_choices, rows_of_clusters
from seewhy.datasets.overview.row_entries import RowEntries
from seewhy.datasets.overview.row_filter import Confidence, Evidence, Order, RowFilter, Verdict
from seewhy.datasets.overview.row_index import Integers
from seewhy.serve.error_responses import RequestError, add_error_handlers
from seewhy.serve.openapi_errors import openapi_errors
from seewhy.serve.security import SecurityMiddleware
from seewhy.serve.settings import Settings
from seewhy.viewer.assets import ASSETS
from seewhy.viewer.photos import PhotoLimits
from seewhy.viewer.report import script_json
from seewhy.viewer.viewer_data import viewer_header

PAGE = Path(__file__).parent / "page"

PHOTO_LIMITS = PhotoLimits(side=1024, png_bytes=100_000)

MAX_ROWS = 100
"""The maximum number of rows of a response."""

Text = Annotated[str, Query(max_length=1000)]


def make_data_set_app(output: Output, settings: Settings) -> ASGIApp:
    """Create the application. The output is read once, now; images are read when they are looked at.

    Args:
        output: The output of a run. Only images that its source lists are read, and only those with a row are shown.
        settings: The server's settings.

    Raises:
        SeewhyError: The output has no results, or scikit-learn is not installed.
    """
    decoders = DecoderProcesses(settings.decode_time_limit)
    try:
        overview = make_overview(output)
        entries = RowEntries(output, overview.index, OriginalImages(output, decoders.decode))
        sections = page_sections(overview, output.summary(), entries)
    except BaseException:
        decoders.close()
        raise
    clusters, index = rows_of_clusters(overview), overview.index
    choices = page_choices(overview, clusters, slice(None))
    page = _page(sections, {**viewer_header(), "total": len(index), "choices": choices})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(decoders.close)

    app = FastAPI(
        title="SeeWhy",
        version=seewhy.__version__,
        description="Shows what `seewhy batch` found in a data set.",
        docs_url=None,  # FastAPI's own pages load scripts from other sites
        redoc_url=None,
        lifespan=lifespan,
    )
    add_error_handlers(app)

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/icon.svg", include_in_schema=False)
    async def icon() -> FileResponse:
        return FileResponse(PAGE / "icon.svg")

    app.include_router(_rows_router(entries, clusters))
    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/viewer", StaticFiles(directory=ASSETS))
    return SecurityMiddleware(app, settings.hosts)  # outermost: error responses get its headers too


def _rows_router(entries: RowEntries, clusters: Mapping[str, Integers]) -> APIRouter:
    """Return the router with the routes that read rows."""
    router, index = APIRouter(), entries.index

    @router.get("/api/rows", responses=openapi_errors(422))
    def list_rows(
        search: Text = "",
        order: Order = "original",
        predicted: Text = "",
        label: Text = "",
        confidence: Confidence = "any",
        verdict: Verdict = "any",
        evidence: Evidence = "any",
        cluster: Text = "",
        start: Annotated[int, Query(ge=0, le=2**53, description="The first row of those that pass.")] = 0,
        count: Annotated[int, Query(ge=1, le=MAX_ROWS, description="The maximum number of rows to return.")] = 48,
    ) -> dict[str, Any]:
        """List the rows that pass a filter: how many there are, and a page of them."""
        wanted = RowFilter(search, order, predicted, label, confidence, verdict, evidence, cluster)
        rows = wanted.rows(index, clusters)
        shown = [{**entries.summary(row), "row": row} for row in rows[start : start + count].tolist()]
        return {"count": len(rows), "images": shown}

    @router.get("/api/rows/{row}", responses=openapi_errors(404, 422))
    def read_row(row: Annotated[int, PathParameter(description="A row of GET api/rows.")]) -> dict[str, Any]:
        """Return a row with its heatmaps and a copy of its image."""
        if not 0 <= row < len(index):
            raise RequestError(404, "unknown_row", f"There is no row {row}; expected 0 to {len(index) - 1}.")
        return dict(entries.entry(row, PHOTO_LIMITS))

    @router.get("/healthz", responses=openapi_errors())
    async def health() -> dict[str, str]:
        """Return that the server is up."""
        return {"status": "ok"}

    return router


def _page(sections: str, data: dict[str, Any]) -> str:
    template = Template((PAGE / "data_set.html").read_text("utf-8"))
    return template.substitute(sections=sections, data=script_json(data))
