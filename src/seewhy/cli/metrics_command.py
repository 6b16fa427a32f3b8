"""The command `seewhy metrics`. It imports its implementation when it is called, as those of `app` do."""

from typing import Annotated

import typer

from seewhy.cli.options import JsonOption


def metrics(
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The number of steps for which costs are listed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the metrics of 'seewhy evaluate': what each asks, what it needs, and what it costs in forward passes."""
    from seewhy.cli.evaluate_printer import print_metrics

    print_metrics(steps, as_json=as_json)
