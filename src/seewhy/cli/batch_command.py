"""The command `seewhy batch`. It imports its implementation when it is called, as those of `app` do."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import ImageOptions, LayerOptions, ModelOptions
from seewhy.cli.options import (
    DEFAULT_MODEL,
    JsonOption,
    MethodOption,
    ModelOption,
    PrecisionName,
    PrecisionOption,
    QuietOption,
    SettingsOption,
    TargetsOption,
)
from seewhy.cli.run_options import DEFAULT_BATCH_SIZE


class OverlayFormatName(StrEnum):
    """The values of `--overlays`."""

    png = "png"
    jpg = "jpg"


class ExecutorValue(StrEnum):
    """The values of `--executor`."""

    local = "local"
    ray = "ray"


class HeatmapTypeName(StrEnum):
    """The values of `--heatmaps`."""

    auto = "auto"
    float16 = "float16"
    float32 = "float32"


def batch(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, which is searched with its subfolders; a pattern like 'photos/*.jpg'; a text or CSV file "
            "that lists paths; Parquet files with images in a column; tar archives as WebDataset writes them; "
            "hf:NAME@SPLIT, a data set in the local cache of Hugging Face, or hf:FOLDER. Also URLs, such as "
            "s3://bucket/photos.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The output folder; created if missing.", show_default=False)
    ],
    model: ModelOption = DEFAULT_MODEL,
    model_options: ModelOptions,
    targets: TargetsOption = "top-1",
    method: MethodOption = "auto",
    settings: SettingsOption = None,
    layer_options: LayerOptions,
    precision: PrecisionOption = PrecisionName.float32,
    heatmaps: Annotated[
        HeatmapTypeName,
        typer.Option(
            help="The type of the column of heatmaps; auto is float16 if it holds those of the first image with digits "
            "to spare, and else float32."
        ),
    ] = HeatmapTypeName.auto,
    overlays: Annotated[
        OverlayFormatName | None,
        typer.Option(help="Also write the overlay of each target, to FOLDER/overlays.", show_default="none"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder, which was interrupted.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Explain the I-th of N shares of the source, such as 1/8, for job arrays. All of them write to the "
            "same folder.",
            show_default=False,
        ),
    ] = None,
    label_by_folder: Annotated[
        bool, typer.Option("--label-by-folder", help="The name of an image's folder is its true class.")
    ] = False,
    image_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The column of images or paths, of a table.", show_default="one with a usual name"
        ),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column of true classes, of a table.",
            show_default="one with a usual name, if there is one",
        ),
    ] = None,
    key_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The column of keys, of Parquet files.", show_default="the number of the row"
        ),
    ] = None,
    image_options: ImageOptions,
    chunk_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The number of images of a part of the output.",
            show_default="256; 16 for a method that runs the model many times",
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Decode images in processes of their own, which are ended when an image takes longer: for files that "
            "may be made to do harm.",
            show_default=False,
        ),
    ] = None,
    executor: Annotated[
        ExecutorValue,
        typer.Option(
            help="Explain in this process, or by workers of Ray, on this machine or a cluster. The output is the same."
        ),
    ] = ExecutorValue.local,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The number of workers of Ray.",
            show_default="one for each processor, or GPU, as far as the memory suffices",
        ),
    ] = None,
    cpus_per_worker: Annotated[
        int, typer.Option(metavar="N", help="The processors of a worker of Ray, and its threads.")
    ] = 1,
    gpus_per_worker: Annotated[
        float,
        typer.Option(metavar="N", help="The GPUs of a worker of Ray; 0.5 lets two workers share one."),
    ] = 0,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The address of a running cluster of Ray, or auto.",
            show_default="a cluster on this machine, for the length of the run",
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Log parts and errors on standard error, with the time.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Explain every image of a data set, and write a table of the results as Parquet.

    Every image ends in exactly one row: of FOLDER/results or of FOLDER/errors. Ctrl+C finishes the part in hand. A run
    that was interrupted, by whatever it was, is continued with --resume.

    The exit code is 0 if every image was explained, 2 if the call was wrong, 1 if an image failed or the output cannot
    be written, and 130 after Ctrl+C.
    """
    from seewhy.cli.batch import BatchArguments, run
    from seewhy.cli.method_options import parse_methods
    from seewhy.cli.options import split_list

    request = BatchArguments(
        source=source,
        out=out,
        model=model_options.arguments(model),
        targets=split_list(targets, model_options.prompt),
        methods=parse_methods(method, settings or []),
        layer=layer_options.layer,
        score=layer_options.score.value,
        precision=precision.value,
        tokens=layer_options.grid(),
        shard=shard,
        options={
            "heatmaps": heatmaps.value,
            "overlays": None if overlays is None else overlays.value,
            "resume": resume,
            "batch_size": image_options.batch_size or DEFAULT_BATCH_SIZE,
            "chunk_size": chunk_size,
            "time_limit": time_limit,
            "label_by_folder": label_by_folder,
            "image_column": image_column,
            "label_column": label_column,
            "key_column": key_column,
            "recursive": image_options.recursive,
            "limit": image_options.limit,
            "executor": executor.value,
            "workers": workers,
            "cpus_per_worker": cpus_per_worker,
            "gpus_per_worker": gpus_per_worker,
            "address": address,
        },
    )
    run(request, log=log, quiet=quiet, as_json=as_json)
