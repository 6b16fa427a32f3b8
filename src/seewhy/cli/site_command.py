"""The command `seewhy site`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import LayerOptions, ModelOptions
from seewhy.cli.options import MethodOption, ModelArgument, QuietOption


def site(
    *,
    model: ModelArgument,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder to write: a new one, an empty one, or a site to replace.")
    ] = Path("site"),
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS,...",
            help="The classes that visitors can have explained: all; top-5; or classes by name, index or wnid, "
            "separated by commas.",
            show_default="all, or top-5 where each class takes a backward pass",
        ),
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE",
            help="A photo that visitors can try; may be repeated.",
            show_default="three photos for a model with the classes of ImageNet, else none",
        ),
    ] = None,
    method: MethodOption = "auto",
    layer_options: LayerOptions,
    model_options: ModelOptions,
    quiet: QuietOption = False,
) -> None:
    """Write a page for any static host, which runs the model in the visitor's browser.

    The host only serves files; visitors' photos never leave their browsers. The page needs HTTP: it does not work when
    it is opened from the disk.
    """
    from seewhy.cli.site import run

    run(
        model_options.arguments(model),
        out,
        targets,
        sample,
        method,
        layer_options.layer,
        layer_options.score.value,
        layer_options.grid(),
        is_quiet=quiet,
    )
