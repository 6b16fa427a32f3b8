"""The command `seewhy layers`. It imports its implementation when it is called, as those of `app` do."""

from typing import Annotated

import typer

from seewhy.cli.option_groups import ModelOptions
from seewhy.cli.options import JsonOption, ModelArgument, SampleOption


def layers(
    *,
    model: ModelArgument,
    model_options: ModelOptions,
    inputs: SampleOption = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Run the model to show how much of the score each layer's positions reach and how much bypasses it.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the layers of a model that can be explained, and the one that 'auto' selects."""
    from seewhy.cli.layers import run
    from seewhy.cli.sample_option import parse_inputs

    run(model_options.arguments(model), parse_inputs(inputs or []), check=check, as_json=as_json)
