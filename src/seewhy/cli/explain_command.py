"""The command `seewhy explain`. It imports its implementation when it is called, as those of `app` do."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import ImageOptions, LayerOptions, ModelOptions
from seewhy.cli.options import (
    DEFAULT_MODEL,
    METHOD_HELP,
    MODEL_HELP,
    TARGETS_HELP,
    ColormapOption,
    FigureName,
    JsonOption,
    NormalizationName,
    OutOption,
    PrecisionName,
    PrecisionOption,
    QuietOption,
    RescaleName,
    SampleOption,
    SettingsOption,
    UpsamplingName,
    split_list,
)
from seewhy.images.default_style import DEFAULT_ALPHA, DEFAULT_COLORMAP


def explain(
    *,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Images; folders, which are searched with their subfolders; or patterns like 'photos/*.jpg'. For a "
            "model that takes them volumes (.nii.gz, .npy, or a folder with a DICOM series), signals (.wav, .npy) or "
            "videos (.npy, .gif, .webp).",
            show_default=False,
        ),
    ] = None,
    inputs: SampleOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help=MODEL_HELP + " May be repeated: several models are drawn in one grid.",
            show_default=DEFAULT_MODEL,
        ),
    ] = None,
    model_options: ModelOptions,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS,...", help=TARGETS_HELP, show_default="top-1; top-5 if the report is the only output"
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD,...",
            help=f"{METHOD_HELP} Several names, separated by commas, are drawn in one grid: methods x targets.",
        ),
    ] = "auto",
    settings: SettingsOption = None,
    layer_options: LayerOptions,
    precision: PrecisionOption = PrecisionName.float32,
    image_options: ImageOptions,
    alpha: Annotated[
        float,
        typer.Option(
            metavar="NUMBER", help="The opacity of the heatmap, from 0 (only the image) to 1 (only the heatmap)."
        ),
    ] = DEFAULT_ALPHA,
    image_weight: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER", help="The weight of the image in the overlay, from 0 to 1.", show_default="1 - alpha"
        ),
    ] = None,
    colormap: ColormapOption = DEFAULT_COLORMAP,
    normalization: Annotated[
        NormalizationName,
        typer.Option(help="max: divide a heatmap by its maximum. range: map its minimum to 0 and its maximum to 1."),
    ] = NormalizationName.max,
    upsampling: Annotated[
        UpsamplingName, typer.Option(help="The interpolation of a heatmap to the size of the image.")
    ] = UpsamplingName.bilinear,
    rescale: Annotated[
        RescaleName,
        typer.Option(
            help="How the overlay is brought into 0..255. none: clip it. max: divide it by its maximum. range: map its "
            "minimum to 0 and its maximum to 255."
        ),
    ] = RescaleName.none,
    colorbar: Annotated[
        bool, typer.Option("--colorbar", help="Draw a colour bar with the raw values beside each heatmap.")
    ] = False,
    figure: Annotated[
        FigureName | None,
        typer.Option(
            help="overlay: an image for each target. panels: image, raw heatmap, normalized heatmap and overlay side "
            "by side, for each target. grid: the overlays of all targets in one image. probabilities: image, overlay, "
            "and the most probable classes as bars.",
            show_default="overlay for one target, grid for several",
        ),
    ] = None,
    out: OutOption = Path("explanations"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT,...",
            help="The output formats, separated by commas: png, jpg, svg, pdf, npz, json; gif or webp, animations that "
            "show the targets in turn; html, one report of all images to open in a browser. Of a volume or a video gif "
            "and webp go through its slices or frames; nii.gz has the heatmaps of a volume.",
        ),
    ] = "png",
    frames: Annotated[
        int, typer.Option(metavar="NUMBER", help="How many slices of a volume, or frames of a video, an image shows.")
    ] = 12,
    slice_axis: Annotated[
        int, typer.Option(metavar="0|1|2", help="The axis of a volume that its slices are across.")
    ] = 0,
    reduce_to: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=1,
            help="Decode JPEG files at a half, a quarter or an eighth of their size, whichever is the smallest that "
            "keeps so many pixels on the shorter side; overlays have that size. Not less than the model's input needs.",
            show_default=False,
        ),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="Also write one image with the overlays of all images.")
    ] = False,
    label_by_folder: Annotated[
        bool,
        typer.Option(
            "--label-by-folder",
            help="The name of an image's folder is its true class; the report marks misclassified images, and the "
            "closing summary counts them.",
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check each heatmap, in words: does the score fall when its brightest 15% are covered, and does it "
            "differ from that of the next class? The model runs about ten more times for each.",
        ),
    ] = False,
    compile_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With Keras on JAX: cache compiled code in this folder, to start faster the next time. Anyone who can "
            "write to the folder can run code as you.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print at the end, on standard error, where the time went.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the evidence for a class in each image.

    The exit code is 0 if every image was explained, 2 if the call was wrong or an image does not exist, and 1 if an
    image could not be read, explained or written; the other images are explained in any case.
    """
    from seewhy import timing
    from seewhy.cli.image_search import search_images
    from seewhy.cli.run_summary import RunSummary
    from seewhy.cli.sample_option import check_images_or_inputs, parse_inputs

    check_images_or_inputs(images, inputs)
    sample = parse_inputs(inputs or [])
    found = search_images(images or [], outside=out, recursive=image_options.recursive, limit=image_options.limit)
    if not (found.images or sample):
        summary = RunSummary.of_search(found)
        if as_json:
            typer.echo(json.dumps(summary.as_dict(), indent=2))
        raise typer.Exit(summary.exit_code)
    with timing.measure() if verbose else nullcontext() as times:
        with timing.phase(timing.Phase.IMPORTING):
            from seewhy.cli.explain import ExplainArguments, run
            from seewhy.cli.method_options import parse_methods

        request = ExplainArguments(
            images=found,
            models=tuple(model_options.arguments(source) for source in dict.fromkeys(model or [DEFAULT_MODEL])),
            targets=None if targets is None else split_list(targets, model_options.prompt),
            methods=parse_methods(method, settings or []),
            layer=layer_options.layer,
            score=layer_options.score.value,
            precision=precision.value,
            tokens=layer_options.grid(),
            style={
                "alpha": alpha,
                "image_weight": image_weight,
                "colormap": colormap,
                "normalization": normalization.value,
                "upsampling": upsampling.value,
                "rescale": rescale.value,
                "colorbar": colorbar,
            },
            figure=None if figure is None else figure.value,
            out=out,
            formats=tuple(name.strip().lower() for name in formats.split(",")),
            frames=frames,
            slice_axis=slice_axis,
            reduce_to=reduce_to,
            together=together,
            label_by_folder=label_by_folder,
            check_heatmaps=check,
            compile_cache=compile_cache,
            batch_size=image_options.batch_size,
        )
        if sample:
            from seewhy.cli.explain_sample import run_sample

            run_sample(request, sample, as_json=as_json, quiet=quiet)
        else:
            run(request, as_json=as_json, quiet=quiet, times=times)
