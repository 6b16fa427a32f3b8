"""The commands and their options.

Each command imports its implementation when it is called, so that `seewhy --help` does not wait for NumPy.
"""

from typing import Annotated

import typer

import seewhy
from seewhy.cli import train
from seewhy.cli.batch_command import batch
from seewhy.cli.convert_command import convert
from seewhy.cli.doctor_command import doctor
from seewhy.cli.errors_command import errors
from seewhy.cli.evaluate_command import evaluate
from seewhy.cli.explain_command import explain
from seewhy.cli.export_command import export
from seewhy.cli.help_text import Command, Group
from seewhy.cli.inspect_command import inspect
from seewhy.cli.layers_command import layers
from seewhy.cli.log_option import with_log_level
from seewhy.cli.methods_command import methods
from seewhy.cli.metrics_command import metrics
from seewhy.cli.models_command import models
from seewhy.cli.option_groups import with_options_of_groups
from seewhy.cli.report_command import report
from seewhy.cli.serve_command import serve
from seewhy.cli.site_command import site

app = typer.Typer(
    name="seewhy",
    help="Show which part of an image made a neural network predict a class.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"seewhy {seewhy.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Show which part of an image made a neural network predict a class."""


for command in (
    explain,
    inspect,
    layers,
    export,
    models,
    methods,
    serve,
    errors,
    site,
    evaluate,
    metrics,
    batch,
    convert,
    report,
    doctor,
):
    app.command(cls=Command)(with_log_level(with_options_of_groups(command)))  # in the order of the help
app.add_typer(train.app)
