"""The command `seewhy report`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.options import JsonOption, QuietOption


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The folder that 'seewhy batch' wrote; with --maps, the image that they explain."
        ),
    ],
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Heatmaps of one image by another tool, at any resolution: an .npz file, with a name for each.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The page, a file ending in .html.", show_default="report.html in the folder, or here"
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(metavar="N", help="The number of images in the gallery, drawn at random.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed of all that is drawn at random.")] = 0,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Decode images in processes of their own, which are ended when an image takes longer: for files that "
            "may be made to do harm.",
            show_default=False,
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a model looks at over a whole data set, and name suspected shortcuts, in one HTML file.

    The page has the mean map of each class, clusters of maps with examples, and a gallery with filters. It needs
    neither a model nor other files. The images are read from where they were; of one that is missing the map alone is
    shown.

    With --maps it shows heatmaps of one image that another tool made, in the viewer.
    """
    if maps is not None:
        from seewhy.cli.report import show_maps

        show_maps(folder, maps, out or Path("report.html"), quiet=quiet, as_json=as_json)
        return
    from seewhy.cli.report import run

    run(folder, out or folder / "report.html", sample, seed, time_limit, quiet=quiet, as_json=as_json)
