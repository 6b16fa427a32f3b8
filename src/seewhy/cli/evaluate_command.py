"""The command `seewhy evaluate`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.options import (
    DEFAULT_MODEL,
    MODEL_HELP,
    ArchitectureOption,
    BackendOption,
    ClassNamesOption,
    InputSizeOption,
    JsonOption,
    LayerOption,
    PreprocessingOption,
    PromptOption,
    QuietOption,
    ScoreName,
    ScoreOption,
    TrustOption,
    WeightsOption,
    split_list,
)
from seewhy.cli.run_options import DEFAULT_BATCH_SIZE, BatchSizeOption, DeviceOption, LimitOption, RecursiveOption


def evaluate(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images; folders, which are searched with their subfolders; or patterns like 'photos/*.jpg'.",
        ),
    ],
    model: Annotated[str, typer.Option(metavar="MODEL", help=MODEL_HELP)] = DEFAULT_MODEL,
    methods: Annotated[
        str,
        typer.Option(
            metavar="METHOD,...",
            help="Names listed by 'seewhy methods', separated by commas. Two baselines are added: a random map and a "
            "Gaussian in the centre.",
        ),
    ] = "gradcam,gradcam++,hirescam,layercam,eigencam",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set an option of a method, such as masks=8000; repeatable."),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="METRIC,...",
            help="Names listed by 'seewhy metrics', or of their families, such as faithfulness, separated by commas.",
        ),
    ] = "deletion,insertion",
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="folder|FILE",
            help="The true classes, which are then explained. folder: the names of the images' folders. FILE: a CSV "
            "file with the columns image and label.",
            show_default="none; the most probable class is explained",
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Boxes of objects, in COCO's JSON format.", show_default=False),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Masks of objects, 1.png for the image 1.jpg: pixels that are not black.",
            show_default=False,
        ),
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="Maps of another tool, in .npy files named after the images: (u, v) over the model's input, or as "
            "large as the image. May be repeated.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of the results; created if missing.")] = Path(
        "evaluation"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the study in the output folder, with the same settings.")
    ] = False,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT,...",
            help="The formats of the value of each image, method and metric: csv, json, parquet, separated by commas.",
        ),
    ] = "csv",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The number of steps of curves, such as deletion's.",
            show_default="each metric's own, those of its paper",
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="P",
            help="The probability of its class that an image needs to be part of a mosaic of the grid pointing game.",
            show_default="0.5",
        ),
    ] = None,
    recursive: RecursiveOption = True,
    limit: LimitOption = None,
    batch_size: BatchSizeOption = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="The seed of all random numbers; the same seed gives the same bits.")
    ] = 0,
    layer: LayerOption = "auto",
    score: ScoreOption = ScoreName.logit,
    weights: WeightsOption = "imagenet",
    architecture: ArchitectureOption = None,
    class_names: ClassNamesOption = None,
    preprocessing: PreprocessingOption = None,
    input_size: InputSizeOption = None,
    backend: BackendOption = None,
    device: DeviceOption = None,
    prompt: PromptOption = None,
    trust: TrustOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure which method to trust for a model and images, by metrics with intervals and two baselines.

    Writes report.html, and the value of each image, method and metric. Ctrl-C ends the study after the current image;
    --resume continues it. The exit code is 0 if everything was measured, 2 if the call was wrong, and 1 if an image, a
    method or a metric failed, or a metric has no value at all; the rest is measured in any case.
    """
    from seewhy.cli.evaluate import EvaluateArguments, run
    from seewhy.cli.method_options import parse_methods
    from seewhy.cli.model_options import ModelArguments

    request = EvaluateArguments(
        source=tuple(source),
        model=ModelArguments(
            model, weights, trust, architecture, class_names, preprocessing, input_size, backend, prompt, device
        ),
        methods=parse_methods(methods, settings or []),
        metrics=tuple(split_list(metrics)),
        labels=labels,
        boxes=boxes,
        masks=masks,
        maps=tuple(maps or ()),
        out=out,
        resume=resume,
        formats=tuple(name.lower() for name in split_list(formats)),
        steps=steps,
        min_confidence=min_confidence,
        batch_size=batch_size or DEFAULT_BATCH_SIZE,
        recursive=recursive,
        limit=limit,
        seed=seed,
        layer=layer,
        score=score.value,
    )
    run(request, as_json=as_json, quiet=quiet)


def metrics(
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The number of steps for which costs are listed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the metrics of 'seewhy evaluate': what each asks, what it needs, and what it costs in forward passes."""
    from seewhy.cli.evaluate_printer import print_metrics

    print_metrics(steps, as_json=as_json)
