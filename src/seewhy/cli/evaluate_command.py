"""The command `seewhy evaluate`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import ImageOptions, ModelOptions
from seewhy.cli.options import (
    DEFAULT_MODEL,
    JsonOption,
    LayerOption,
    ModelOption,
    QuietOption,
    ScoreName,
    ScoreOption,
    SettingsOption,
    split_list,
)
from seewhy.cli.run_options import DEFAULT_BATCH_SIZE


def evaluate(
    *,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images; folders, which are searched with their subfolders; or patterns like 'photos/*.jpg'.",
        ),
    ],
    model: ModelOption = DEFAULT_MODEL,
    methods: Annotated[
        str,
        typer.Option(
            metavar="METHOD,...",
            help="Names listed by 'seewhy methods', separated by commas. Two baselines are added: a random map and a "
            "Gaussian in the centre.",
        ),
    ] = "gradcam,gradcam++,hirescam,layercam,eigencam",
    settings: SettingsOption = None,
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
    image_options: ImageOptions,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="The seed of all random numbers; the same seed gives the same bits.")
    ] = 0,
    layer: LayerOption = "auto",
    score: ScoreOption = ScoreName.logit,
    model_options: ModelOptions,
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

    request = EvaluateArguments(
        source=tuple(source),
        model=model_options.arguments(model),
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
        batch_size=image_options.batch_size or DEFAULT_BATCH_SIZE,
        recursive=image_options.recursive,
        limit=image_options.limit,
        seed=seed,
        layer=layer,
        score=score.value,
    )
    run(request, as_json=as_json, quiet=quiet)
