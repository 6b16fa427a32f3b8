"""`seewhy inspect`."""

import os
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seewhy.cli.model_options import ModelArguments
from seewhy.cli.output_files import check_not_an_input, fitting_stem
from seewhy.cli.terminal import quiet_start
from seewhy.errors import OptionError
from seewhy.explainer import Explainer
from seewhy.images.colour import color_table
from seewhy.results.channel_inspection import Inspection
from seewhy.results.explanation import IMAGE_SUFFIXES
from seewhy.types import Score

FORMATS = (*(suffix[1:] for suffix in IMAGE_SUFFIXES), "npz")


def run(
    image: Path,
    model: ModelArguments,
    targets: list[str],
    channels: str,
    layer: str,
    score: Score,
    colormap: str,
    out: Path,
    formats: list[str],
) -> None:
    """Inspect the channels behind the heatmap of each target, print them, and write the files.

    Raises:
        SeewhyError: The call is wrong, or the image cannot be read or explained.
    """
    color_table(colormap)
    for name in formats or [""]:
        if name not in FORMATS:
            raise OptionError(f"Cannot write the format {name!r}; known: {', '.join(FORMATS)}.")
    with quiet_start():
        inspection = Explainer(model.load(), layer=layer, score=score).inspect(image, targets)
    console = Console(highlight=False)
    for position, target in enumerate(inspection.explanation.targets):
        selected = inspection.channels(channels, position)
        _print_channels(inspection, position, selected, console)
        for name in formats:
            if name == "npz" and position > 0:
                continue  # one file has the arrays of all targets
            stem = fitting_stem(image.stem, "inspect", *(() if name == "npz" else (str(target.index),)))
            path = check_not_an_input(out / f"{stem}.{name}", {os.path.realpath(image)})
            inspection.save(path, selected, target=position, colormap=colormap)
            console.print(f"wrote {path}", markup=False, soft_wrap=True)
    typer.echo(f"layer {inspection.explanation.layer}, {inspection.activations.shape[-1]} channels")


def _print_channels(inspection: Inspection, position: int, channels: list[int], console: Console) -> None:
    target = inspection.explanation.targets[position]
    console.print(Text(f"{target.index} {target.name}: score {target.score:.3f}"), soft_wrap=True)
    table = Table()
    for heading in ("channel", "weight", "mean activation", "contribution to the mean"):
        table.add_column(heading, justify="right")
    means = inspection.activations.mean(axis=(0, 1))
    for channel in channels:
        weight = float(inspection.weights[position, channel])
        contribution = weight * float(means[channel]) + 0.0  # + 0.0 turns -0.0 into 0.0
        table.add_row(str(channel), f"{weight:.4g}", f"{means[channel]:.4g}", f"{contribution:.4g}")
    console.print(table)
