"""`seewhy inspect`."""

import os
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seewhy.cli.files import free_path
from seewhy.cli.sources import ModelRequest
from seewhy.cli.terminal import quiet_start
from seewhy.errors import OptionError
from seewhy.explainer import Explainer
from seewhy.images.colour import color_table
from seewhy.results.explanation import IMAGE_SUFFIXES
from seewhy.results.inspection import Inspection
from seewhy.types import Score

FORMATS = (*(suffix[1:] for suffix in IMAGE_SUFFIXES), "npz")


def run(
    image: Path,
    model: ModelRequest,
    targets: list[str],
    channels: str,
    layer: str,
    score: Score,
    colormap: str,
    out: Path,
    formats: list[str],
) -> None:
    """Style inside the model, print the channels shown, write the files.

    Raises:
        SeewhyError: What was asked cannot be done; the message says why.
    """
    color_table(colormap)
    for name in formats or [""]:
        if name not in FORMATS:
            raise OptionError(f"Cannot write the format {name!r}; known: {', '.join(FORMATS)}.")
    with quiet_start():
        inspection = Explainer(model.load(), layer=layer, score=score).inspect(image, targets)
    console = Console(highlight=False)
    for position, target in enumerate(inspection.explanation.targets):
        shown = inspection.channels(channels, position)
        _print(inspection, position, shown, console)
        for name in formats:
            if name == "npz" and position > 0:
                continue  # it holds all targets
            stem = f"{image.stem}_inspect" if name == "npz" else f"{image.stem}_inspect_{target.index}"
            path = free_path(out / f"{stem}.{name}", {os.path.realpath(image)})
            inspection.save(path, shown, target=position, colormap=colormap)
            console.print(f"wrote {path}", markup=False, soft_wrap=True)
    typer.echo(f"layer {inspection.explanation.layer}, {inspection.activations.shape[-1]} channels")


def _print(inspection: Inspection, position: int, shown: list[int], console: Console) -> None:
    target = inspection.explanation.targets[position]
    console.print(Text(f"{target.index} {target.name}: score {target.score:.3f}"), soft_wrap=True)
    table = Table()
    for heading in ("channel", "weight", "mean activation", "adds to the map's mean"):
        table.add_column(heading, justify="right")
    means = inspection.activations.mean(axis=(0, 1))
    for channel in shown:
        weight = float(inspection.weights[position, channel])
        table.add_row(
            str(channel), f"{weight:.4g}", f"{means[channel]:.4g}", f"{weight * float(means[channel]) + 0.0:.4g}"
        )
    console.print(table)
