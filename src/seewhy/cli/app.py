"""The commands and their options.

What carries a command out is imported by the command: `seewhy --help` shall not wait for NumPy.
"""

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import seewhy
from seewhy.cli import errors, train

DEFAULT_MODEL = "efficientnet-lite0"

MODEL_HELP = (
    "A name that 'seewhy models' lists; a .keras or .h5 file, or a folder with one; torchvision:NAME; timm:NAME; or "
    "package.module:callable, which runs your code: the module is imported, also from the current folder, and the "
    "callable called."
)

app = typer.Typer(
    name="seewhy",
    help="Show which part of an image made a neural network say that.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Figure(StrEnum):
    """What is drawn."""

    overlay = "overlay"
    panels = "panels"
    grid = "grid"
    probabilities = "probabilities"


class Normalization(StrEnum):
    """How a heatmap is brought to 0..1."""

    max = "max"
    range = "range"


class Upsampling(StrEnum):
    """How a heatmap comes to the image's size."""

    bilinear = "bilinear"
    bicubic = "bicubic"
    nearest = "nearest"


class Rescale(StrEnum):
    """How the blended image is brought to 0..255."""

    none = "none"
    max = "max"
    range = "range"


WeightsOption = Annotated[
    str,
    typer.Option(
        metavar="imagenet|none|PATH",
        help="For a model known by name. imagenet: trained. none: random, from a fixed seed. A path: what Keras's "
        "save_weights wrote.",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust", help="Let Python code in the model's file (a Lambda layer) run. Only for files of your own."
    ),
]


class Score(StrEnum):
    """What is explained."""

    logit = "logit"
    probability = "probability"


class Precision(StrEnum):
    """What the model runs in."""

    float32 = "float32"
    bfloat16 = "bfloat16"


LayerOption = Annotated[
    str,
    typer.Option(help="A name or path that 'seewhy layers' lists; auto takes the model's own, or the last with space."),
]
ScoreOption = Annotated[Score, typer.Option(help="Explain what stands before a final softmax, or after it.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="What the model runs in. bfloat16 is less exact, and quicker where the processor has units for it."
    ),
]
ColormapOption = Annotated[str, typer.Option(help="Any of matplotlib's colour maps.")]
OutOption = Annotated[Path, typer.Option(help="The folder to write to; it is made if need be.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seewhy {seewhy.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Show which part of an image made a neural network say that."""


@app.command()
def explain(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Images, folders of images, or patterns like 'photos/*.jpg'."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=MODEL_HELP + " May be repeated: several models are drawn in one grid.", show_default=DEFAULT_MODEL
        ),
    ] = None,
    weights: WeightsOption = "imagenet",
    trust: TrustOption = False,
    targets: Annotated[
        str | None,
        typer.Option(
            help="What to ask: top-3; or classes by name, index or wnid, with commas between: tabby,285.",
            show_default="top-1; top-5 for a report alone",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="A name that 'seewhy methods' lists. Several, with commas between, are drawn in one grid: methods x "
            "targets."
        ),
    ] = "gradcam",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="An option of the method, such as masks=8000; may be repeated."
        ),
    ] = None,
    layer: LayerOption = "auto",
    score: ScoreOption = Score.logit,
    precision: PrecisionOption = Precision.float32,
    alpha: Annotated[float, typer.Option(help="From 0, the image alone, to 1, the colours alone.")] = 0.4,
    image_weight: Annotated[
        float | None,
        typer.Option(help="How much the image counts, from 0 to 1.", show_default="1 - alpha"),
    ] = None,
    colormap: ColormapOption = "jet",
    normalization: Annotated[
        Normalization,
        typer.Option(help="max: a heatmap is divided by its maximum. range: its minimum becomes 0 too."),
    ] = Normalization.max,
    upsampling: Annotated[
        Upsampling, typer.Option(help="How a heatmap comes to the image's size.")
    ] = Upsampling.bilinear,
    rescale: Annotated[
        Rescale,
        typer.Option(
            help="The blended image is cut off at 0 and 255 (none), divided by its maximum, or spread over 0..255."
        ),
    ] = Rescale.none,
    figure: Annotated[
        Figure | None,
        typer.Option(
            help="overlay: an image for each target. panels: four steps side by side, for each target. "
            "grid: all targets in one image. probabilities: image, overlay and the most probable classes as bars.",
            show_default="overlay for one target, grid for several",
        ),
    ] = None,
    out: OutOption = Path("explanations"),
    format: Annotated[
        str,
        typer.Option(
            help="What to write, with commas between: png, jpg, npz, json; gif or webp, which go through the targets; "
            "html, one report of all images, to look through in a browser."
        ),
    ] = "png",
    together: Annotated[
        bool, typer.Option("--together", help="Write one image of everything that was explained, too.")
    ] = False,
    label_by_folder: Annotated[
        bool,
        typer.Option(
            "--label-by-folder",
            help="Each image lies in a folder named after its class; the report tells right from wrong.",
        ),
    ] = False,
    compile_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With Keras on JAX: keep what is compiled in this folder, and start sooner the next time. Whoever can "
            "write to the folder can run code in your name.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say at the end, on standard error, where the time went.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Show what in each image speaks for a class.

    Exits with 0 if every image was explained, 2 if the call was wrong or an image is not there, 1 if an image
    could not be read, explained or written; the other images are done all the same.
    """
    from seewhy import timing

    with timing.measure() if verbose else nullcontext() as times:
        with timing.phase(timing.Phase.IMPORTING):
            from seewhy.cli.explain import Request, run
            from seewhy.cli.method_options import chosen
            from seewhy.cli.sources import ModelRequest

        formats = tuple(name.strip().lower() for name in format.split(","))
        request = Request(
            images=tuple(images),
            models=tuple(ModelRequest(each, weights, trust) for each in dict.fromkeys(model or [DEFAULT_MODEL])),
            targets=None if targets is None else _parts(targets),
            methods=chosen(method, settings or []),
            layer=layer,
            score=score.value,
            precision=precision.value,
            style={
                "alpha": alpha,
                "image_weight": image_weight,
                "colormap": colormap,
                "normalization": normalization.value,
                "upsampling": upsampling.value,
                "rescale": rescale.value,
            },
            figure=None if figure is None else figure.value,
            out=out,
            formats=formats,
            together=together,
            label_by_folder=label_by_folder,
            compile_cache=compile_cache,
        )
        run(request, as_json=as_json, times=times)


@app.command()
def inspect(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    channels: Annotated[
        str, typer.Option(help="Their numbers, with commas between: 10,42. Or top-9, those that add most to the map.")
    ] = "top-9",
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = DEFAULT_MODEL,
    weights: WeightsOption = "imagenet",
    trust: TrustOption = False,
    targets: Annotated[
        str, typer.Option(help="What to ask: top-3; or classes by name, index or wnid, with commas between: tabby,285.")
    ] = "top-1",
    layer: LayerOption = "auto",
    score: ScoreOption = Score.logit,
    colormap: ColormapOption = "jet",
    out: OutOption = Path("explanations"),
    format: Annotated[str, typer.Option(help="What to write, with commas between: png, jpg, npz.")] = "png",
) -> None:
    """Show what Grad-CAM is made of: channels of the layer, and their weights, for each target.

    Writes an image for each target: the weights as bars, and channels before and after they are weighted. An .npz file
    holds the activations, gradients and weights of all channels.
    """
    from seewhy.cli.inspect import run
    from seewhy.cli.sources import ModelRequest

    run(
        image,
        ModelRequest(model, weights, trust),
        _parts(targets),
        channels,
        layer,
        score.value,
        colormap,
        out,
        [name.lower() for name in _parts(format)],
    )


@app.command()
def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    weights: WeightsOption = "imagenet",
    trust: TrustOption = False,
) -> None:
    """List the layers of a model that can be explained, and which one 'auto' takes."""
    from seewhy.cli.lists import print_layers
    from seewhy.cli.sources import ModelRequest

    print_layers(ModelRequest(model, weights, trust))


@app.command()
def models(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Only these.")] = None,
) -> None:
    """List the models known by name: their input, their size, and whether their weights are here.

    What a model alone can tell is asked of it once, which takes a minute or two for all of them, and then remembered.
    """
    from seewhy.cli.lists import print_models

    print_models(names or ())


@app.command()
def methods() -> None:
    """List the methods: what each needs and costs, and whose resolution its maps have."""
    from seewhy.cli.lists import print_methods

    print_methods()


@app.command()
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(help=MODEL_HELP + " May be repeated: the first is the default.", show_default=DEFAULT_MODEL),
    ] = None,
    weights: WeightsOption = "imagenet",
    trust: TrustOption = False,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets everyone in who can reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes one that is free.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name under which the server may be called, such as a reverse proxy's; may be repeated. Localhost "
            "and addresses in digits always may.",
        ),
    ] = None,
    max_mb: Annotated[float, typer.Option(help="The most megabytes of one request.")] = 20.0,
    max_pixels: Annotated[int, typer.Option(help="The most pixels of an image.")] = 50_000_000,
    slots: Annotated[int, typer.Option(help="How many requests may run or wait; others are told to come again.")] = 16,
    time_limit: Annotated[float, typer.Option(help="Seconds after which a request is given up.")] = 120.0,
) -> None:
    """Show a web page, and a JSON API, that explain images with the models named here and no others.

    Images stay on this machine, in memory, and are forgotten once they are answered. Ends with Ctrl+C or SIGTERM,
    after what runs is answered.
    """
    from seewhy.cli.serve import run
    from seewhy.cli.sources import ModelRequest

    run(
        [ModelRequest(each, weights, trust) for each in model or [DEFAULT_MODEL]],
        host,
        port,
        allow_host or (),
        {
            "max_bytes": int(max_mb * 1_000_000),
            "max_pixels": max_pixels,
            "slots": slots,
            "time_limit": time_limit,
        },
    )


def _parts(text: str) -> list[str]:
    """Split what has commas between."""
    return [part.strip() for part in text.split(",") if part.strip()]


app.add_typer(train.app)
app.command()(errors.errors)
