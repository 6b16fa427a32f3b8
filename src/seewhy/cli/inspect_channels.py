"""`seewhy inspect`."""

import os
import re
from pathlib import Path

import typer
from rich.console import Console

from seewhy.cli.layer_option import find_layer
from seewhy.cli.model_options import ModelArguments, check_targets
from seewhy.cli.output_files import check_not_an_input, check_output_folder, fitting_stem, target_labels
from seewhy.cli.tables import print_line, print_table
from seewhy.errors import OptionError, short_repr
from seewhy.explainer import Explainer
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.colour import color_table
from seewhy.images.figure import check_matplotlib
from seewhy.results.channel_inspection import Inspection
from seewhy.results.explanation import IMAGE_SUFFIXES
from seewhy.startup_log import quiet_start
from seewhy.types import Score

FORMATS = (*(suffix[1:] for suffix in IMAGE_SUFFIXES), "npz")

CHANNELS = r"\s*(top-[1-9][0-9]*|[0-9]+(\s*,\s*[0-9]+)*\s*,?)\s*"
"""The syntax of the channels; whether the layer has them is known later."""


def run(
    image: Path,
    model: ModelArguments,
    targets: list[str],
    channels: str,
    layer: str,
    score: Score,
    tokens: TokenGrid | None,
    colormap: str,
    out: Path,
    formats: list[str],
) -> None:
    """Inspect the channels behind the heatmap of each target, print them, and write the files.

    Raises:
        SeewhyError: The call is wrong, or the image cannot be read or explained.
    """
    _check(model, targets, channels, colormap, out, formats)
    with quiet_start():
        classifier = model.load()
        explainer = Explainer(classifier, "gradcam", find_layer(classifier, layer), score, tokens=tokens)
        inspection = explainer.inspect(image, targets)
    console = Console(highlight=False)
    for position, label in enumerate(target_labels(inspection.explanation.targets)):
        selected = inspection.channels(channels, position)
        _print_channels(inspection, position, selected, console)
        for name in formats:
            if name == "npz" and position > 0:
                continue  # one file has the arrays of all targets
            stem = fitting_stem(image.stem, "inspect", *(() if name == "npz" else (label,)))
            path = check_not_an_input(out / f"{stem}.{name}", {os.path.realpath(image)})
            inspection.save(path, selected, target=position, colormap=colormap)
            console.print(f"wrote {path}", markup=False, soft_wrap=True)
    typer.echo(f"layer {inspection.explanation.layer}, {inspection.activations.shape[-1]} channels")


def _check(
    model: ModelArguments, targets: list[str], channels: str, colormap: str, out: Path, formats: list[str]
) -> None:
    """Raise SeewhyError for mistakes that can be found before a framework is imported, which takes seconds."""
    for name in formats or [""]:
        if name not in FORMATS:
            raise OptionError(f"Cannot write the format {name!r}; known: {', '.join(FORMATS)}.")
    if not re.fullmatch(CHANNELS, channels):
        raise OptionError(f"--channels is {short_repr(channels)}; expected channel numbers, such as 10,42, or top-9.")
    color_table(colormap)
    if set(formats) != {"npz"}:
        check_matplotlib()
    check_output_folder(out)
    check_targets(targets, model.check())


def _print_channels(inspection: Inspection, position: int, channels: list[int], console: Console) -> None:
    target = inspection.explanation.targets[position]
    name = target.name if target.index < 0 else f"{target.index} {target.name}"
    print_line(console, f"{name}: score {target.score:.3f}")
    means, rows = inspection.activations.mean(axis=(0, 1)), []
    for channel in channels:
        weight = float(inspection.weights[position, channel])
        contribution = weight * float(means[channel]) + 0.0  # + 0.0 turns -0.0 into 0.0
        rows.append((str(channel), f"{weight:.4g}", f"{means[channel]:.4g}", f"{contribution:.4g}"))
    print_table(console, ("channel", "weight", "mean activation", "contribution to the mean"), rows, right=range(4))
