"""The command `seewhy convert`. It imports its implementation when it is called, as those of `app` do."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.options import JsonOption


class FormatName(StrEnum):
    """The values of `--to`."""

    coco = "coco"
    masks = "masks"
    fiftyone = "fiftyone"
    label_studio = "label-studio"
    csv = "csv"


def convert(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The output folder of 'seewhy batch'.")],
    to: Annotated[
        FormatName,
        typer.Option(
            help="coco: boxes as COCO's JSON. masks: a PNG file for each target. fiftyone: JSON for "
            "Dataset.from_json, with heatmaps. label-studio: tasks with predictions. csv: a row for each target.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The file that is written; of masks, a new folder.",
            show_default="in FOLDER, named after the format",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            help="Where FiftyOne or Label Studio finds the images, by their keys.",
            show_default="where they were explained; for Label Studio /data/local-files/?d=",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Where a mask ends, as a share of the heatmap's maximum.", show_default="0.15"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the output of 'seewhy batch' in the format of another program.

    The boxes are those of the table, at 15% of the maximum. A file that is there already is overwritten.
    """
    from seewhy.cli.convert import run

    run(folder, to.value, out, images, threshold, as_json=as_json)
