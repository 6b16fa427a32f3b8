"""The command `seewhy models`. It imports its implementation when it is called, as those of `app` do."""

from typing import Annotated

import typer

from seewhy.cli.options import JsonOption


def models(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="List only these.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models that can be loaded by name: input size, parameters, and whether weights are downloaded.

    The first call builds each model once to read its size, which takes a minute or two, and caches the results.
    """
    from seewhy.cli.models import run

    run(names or (), as_json=as_json)
