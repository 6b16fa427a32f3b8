"""The command `seewhy serve`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import ModelOptions
from seewhy.cli.options import DEFAULT_MODEL, MODEL_HELP


def serve(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help=MODEL_HELP + " May be repeated: the first is the default.",
            show_default=DEFAULT_MODEL,
        ),
    ] = None,
    model_options: ModelOptions,
    batch: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Show the results in this folder, which 'seewhy batch' wrote, instead of a page that explains images; "
            "no model is loaded.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(metavar="HOST", help="The address to bind to; 0.0.0.0 accepts connections from other machines."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 selects a free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name that requests may use, such as that of a reverse proxy; may be repeated. localhost and "
            "IP addresses are always allowed.",
        ),
    ] = None,
    max_mb: Annotated[
        float, typer.Option(metavar="MEGABYTES", help="The maximum size of a request, in megabytes.")
    ] = 20.0,
    max_pixels: Annotated[
        int, typer.Option(metavar="PIXELS", help="The maximum number of pixels of an image.")
    ] = 50_000_000,
    slots: Annotated[
        int,
        typer.Option(
            metavar="N", help="The maximum number of running and waiting requests; further ones are rejected."
        ),
    ] = 16,
    time_limit: Annotated[
        float, typer.Option(metavar="SECONDS", help="The maximum time of a request, in seconds.")
    ] = 120.0,
) -> None:
    """Start a web page, and a JSON API, that explain images with the given models only; or that show a data set.

    Images stay on this machine, in memory, and are discarded after the response. Stop it with Ctrl+C or SIGTERM;
    running requests are finished first.
    """
    from seewhy.cli.serve import run, run_batch

    if batch is not None:
        run_batch(batch, model or (), host, port, allow_host or ())
        return
    run(
        [model_options.arguments(source) for source in model or [DEFAULT_MODEL]],
        host,
        port,
        allow_host or (),
        {
            "max_bytes": int(max_mb * 1_000_000),
            "max_pixels": max_pixels,
            "slots": slots,
            "time_limit": time_limit,
        },
    )
