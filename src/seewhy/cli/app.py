"""The commands and their options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import seewhy
from seewhy.cli import explain as explain_command
from seewhy.cli import lists
from seewhy.errors import OptionError
from seewhy.explanation import SUFFIXES
from seewhy.methods import METHODS
from seewhy.models import MODELS

DEFAULT_MODEL = "efficientnet-lite0"

app = typer.Typer(
    name="seewhy",
    help="Show which part of a picture made a neural network say that.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Figure(StrEnum):
    """What is drawn."""

    overlay = "overlay"
    panels = "panels"
    grid = "grid"


class Score(StrEnum):
    """What is explained."""

    logit = "logit"
    probability = "probability"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seewhy {seewhy.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Show which part of a picture made a neural network say that."""


@app.command()
def explain(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Pictures, folders of pictures, or patterns like 'photos/*.jpg'."),
    ],
    model: Annotated[str, typer.Option(help="A name that 'seewhy models' lists.")] = DEFAULT_MODEL,
    targets: Annotated[
        str, typer.Option(help="What to ask: top-3; or classes by name, index or wnid, with commas between: tabby,285.")
    ] = "top-1",
    method: Annotated[str, typer.Option(help="A name that 'seewhy methods' lists.")] = "gradcam",
    layer: Annotated[
        str, typer.Option(help="A name or path that 'seewhy layers' lists; auto takes the last with space.")
    ] = "auto",
    score: Annotated[
        Score, typer.Option(help="Explain what stands before a final softmax, or after it.")
    ] = Score.logit,
    alpha: Annotated[float, typer.Option(help="From 0, the picture alone, to 1, the colours alone.")] = 0.4,
    colormap: Annotated[str, typer.Option(help="Any of matplotlib's colour maps.")] = "jet",
    figure: Annotated[
        Figure | None,
        typer.Option(
            help="overlay: a picture for each target. panels: four steps side by side, for each target. "
            "grid: all targets in one picture.",
            show_default="overlay for one target, grid for several",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to; it is made if need be.")] = Path("explanations"),
    format: Annotated[str, typer.Option(help="What to write, with commas between: png, jpg, npz, json.")] = "png",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Show what in each picture speaks for a class.

    Exits with 0 if every picture was explained, 2 if the call was wrong or a picture is not there, 1 if a picture
    could not be read, explained or written; the other pictures are done all the same.
    """
    explain_command.run(
        explain_command.Request(
            images=tuple(images),
            model=model,
            targets=[part.strip() for part in targets.split(",") if part.strip()],
            method=method,
            layer=layer,
            score=score.value,
            alpha=alpha,
            colormap=colormap,
            figure=None if figure is None else figure.value,
            out=out,
            suffixes=_suffixes(format),
        ),
        as_json=as_json,
    )


@app.command()
def layers(model: Annotated[str, typer.Argument(metavar="MODEL", help="A name that 'seewhy models' lists.")]) -> None:
    """List the layers of a model that can be explained, and which one 'auto' takes."""
    lists.print_layers(model)


@app.command()
def models() -> None:
    """List the models known by name."""
    lists.print_models(MODELS.values())


@app.command()
def methods() -> None:
    """List the methods."""
    lists.print_methods(METHODS.values())


def _suffixes(formats: str) -> tuple[str, ...]:
    suffixes = tuple("." + name.strip().lower().lstrip(".") for name in formats.split(","))
    unknown = [suffix for suffix in suffixes if suffix not in SUFFIXES]
    if unknown:
        known = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise OptionError(f"Cannot write the format {unknown[0][1:]!r}; known: {known}.")
    return suffixes
