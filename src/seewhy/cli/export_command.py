"""The command `seewhy export`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import LayerOptions, ModelOptions
from seewhy.cli.options import JsonOption, MethodOption, ModelArgument, SettingsOption, split_list


def export(
    *,
    model: ModelArgument,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="onnx|openvino|savedmodel|stablehlo",
            help="The format. ONNX and OpenVINO are for models of all frameworks, SavedModel for Keras on TensorFlow, "
            "StableHLO for Keras on JAX.",
            show_default="that of the suffix of --out, or onnx",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the model is written.", show_default="NAME-explained in the current folder"
        ),
    ] = None,
    model_options: ModelOptions,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS,...",
            help="Which classes have a heatmap: top-3; all; or classes by name, index or wnid, separated by commas.",
            show_default="top-5",
        ),
    ] = None,
    method: MethodOption = "auto",
    settings: SettingsOption = None,
    layer_options: LayerOptions,
    preprocess: Annotated[
        bool,
        typer.Option(
            "--preprocess",
            help="The model takes pixels, uint8 (N, h, w, 3), as the input 'image', and scales them itself.",
        ),
    ] = False,
    place: Annotated[
        bool, typer.Option("--place", help="The model enlarges heatmaps to the size of its input.")
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="How far outputs may be from those of the source, relative to the largest value; else nothing is "
            "written.",
        ),
    ] = 1e-3,
    sample: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="IMAGE",
            help="An image on which both are compared; may be repeated.",
            show_default="three that come with SeeWhy, and noise",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model that returns heatmaps with its scores, for any runtime.

    It is verified by the runtime of its format before it is written: the exit code is 2 if it cannot be exported so.
    """
    from seewhy.cli.export import ExportArguments, run
    from seewhy.cli.method_options import parse_method

    request = ExportArguments(
        model=model_options.arguments(model),
        to=to,
        out=out,
        targets=None if targets is None else split_list(targets),
        method=parse_method(method, settings or []),
        layer=layer_options.layer,
        score=layer_options.score.value,
        tokens=layer_options.grid(),
        preprocess=preprocess,
        place=place,
        tolerance=tolerance,
        samples=sample or (),
    )
    run(request, as_json=as_json)
