"""The command `seewhy inspect`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import LayerOptions, ModelOptions
from seewhy.cli.options import DEFAULT_MODEL, ColormapOption, ModelOption, OutOption, TargetsOption, split_list
from seewhy.images.default_style import DEFAULT_COLORMAP


def inspect(
    *,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    channels: Annotated[
        str,
        typer.Option(
            metavar="CHANNEL,...",
            help="Channel numbers, separated by commas: 10,42. Or top-9, those that contribute most to the heatmap.",
        ),
    ] = "top-9",
    model: ModelOption = DEFAULT_MODEL,
    model_options: ModelOptions,
    targets: TargetsOption = "top-1",
    layer_options: LayerOptions,
    colormap: ColormapOption = DEFAULT_COLORMAP,
    out: OutOption = Path("explanations"),
    formats: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT,...", help="The formats, separated by commas: png, jpg, svg, pdf, npz."
        ),
    ] = "png",
) -> None:
    """Show the channels and channel weights that make up a Grad-CAM heatmap, for each target.

    Writes an image for each target: the weights as bars, and channels before and after weighting. An .npz file has the
    activations, gradients and weights of all channels.
    """
    from seewhy.cli.image_search import check_single_image

    check_single_image(image)
    from seewhy.cli.inspect_channels import run

    run(
        image,
        model_options.arguments(model),
        split_list(targets, model_options.prompt),
        channels,
        layer_options.layer,
        layer_options.score.value,
        layer_options.grid(),
        colormap,
        out,
        [name.lower() for name in split_list(formats)],
    )
