"""The command `seewhy site`. It imports its implementation when it is called, as those of `app` do."""

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
    LayerOption,
    PreprocessingOption,
    PromptOption,
    QuietOption,
    ScoreName,
    ScoreOption,
    TokensOption,
    TrustOption,
    WeightsOption,
)


def site(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
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
    method: Annotated[str, typer.Option(metavar="METHOD", help=METHOD_HELP)] = "auto",
    layer: LayerOption = "auto",
    score: ScoreOption = ScoreName.logit,
    tokens: TokensOption = None,
    weights: WeightsOption = "imagenet",
    architecture: ArchitectureOption = None,
    class_names: ClassNamesOption = None,
    preprocessing: PreprocessingOption = None,
    input_size: InputSizeOption = None,
    backend: BackendOption = None,
    prompt: PromptOption = None,
    trust: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a page for any static host, which runs the model in the visitor's browser.

    The host only serves files; visitors' photos never leave their browsers. The page needs HTTP: it does not work when
    it is opened from the disk.
    """
    from seewhy.cli.model_options import ModelArguments
    from seewhy.cli.site import run
    from seewhy.cli.tokens_option import parse_tokens

    arguments = ModelArguments(
        model, weights, trust, architecture, class_names, preprocessing, input_size, backend, prompt
    )
    run(arguments, out, targets, sample, method, layer, score.value, parse_tokens(tokens), is_quiet=quiet)
