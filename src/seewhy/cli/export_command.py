"""The command `seewhy export`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.options import (
    METHOD_HELP,
    MODEL_HELP,
    ArchitectureOption,
    BackendOption,
    ClassNamesOption,
    InputSizeOption,
    JsonOption,
    LayerOption,
    PreprocessingOption,
    PromptOption,
    ScoreName,
    ScoreOption,
    TokensOption,
    TrustOption,
    WeightsOption,
    split_list,
)


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
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
    weights: WeightsOption = "imagenet",
    architecture: ArchitectureOption = None,
    class_names: ClassNamesOption = None,
    preprocessing: PreprocessingOption = None,
    input_size: InputSizeOption = None,
    backend: BackendOption = None,
    prompt: PromptOption = None,
    trust: TrustOption = False,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS,...",
            help="Which classes have a heatmap: top-3; all; or classes by name, index or wnid, separated by commas.",
            show_default="top-5",
        ),
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help=METHOD_HELP)] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the method; may be repeated."),
    ] = None,
    layer: LayerOption = "auto",
    score: ScoreOption = ScoreName.logit,
    tokens: TokensOption = None,
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
    from seewhy.cli.model_options import ModelArguments
    from seewhy.cli.tokens_option import parse_tokens

    request = ExportArguments(
        model=ModelArguments(
            model, weights, trust, architecture, class_names, preprocessing, input_size, backend, prompt
        ),
        to=to,
        out=out,
        targets=None if targets is None else split_list(targets),
        method=parse_method(method, settings or []),
        layer=layer,
        score=score.value,
        tokens=parse_tokens(tokens),
        preprocess=preprocess,
        place=place,
        tolerance=tolerance,
        samples=sample or (),
    )
    run(request, as_json=as_json)
