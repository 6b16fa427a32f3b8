"""`seewhy train`: recipes that train a model that the other commands can explain."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seewhy.cli.exit_codes import INTERRUPTED
from seewhy.cli.help_text import Command, Group
from seewhy.cli.log_option import with_log_level

if TYPE_CHECKING:
    from rich.console import Console

    from seewhy.train.image_folder import ImageFolder

MAX_SKIPPED_LINES = 10
"""The number of skipped images that are printed."""

MAX_PRINTED_CLASSES = 10
"""A confusion matrix with more classes does not fit on a terminal and is not printed."""

DEFAULT_BASE = "efficientnet-lite0"

app = typer.Typer(
    name="train",
    help="Train a model that 'seewhy explain' can explain.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
)

OutOption = Annotated[
    Path, typer.Option(metavar="FOLDER", help="The folder of the run; it must be new or empty, unless --resume.")
]
SeedOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="The seed of all random numbers; the same seed gives the same model.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Resume an interrupted run after its last finished epoch.")
]


class BaseWeights(StrEnum):
    """The initial weights of the base model."""

    imagenet = "imagenet"
    none = "none"


@app.command(cls=Command)
@with_log_level
def digits(
    data: Annotated[
        Path, typer.Option(metavar="FILE", help="An .npz file with x_train, y_train, x_test, y_test: uint8 28 x 28.")
    ],
    out: OutOption = Path("runs/digits"),
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The number of epochs.", show_default="10; 30 with --augment")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="The number of digits in a batch.")] = 64,
    seed: SeedOption = 0,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Augment the digits at random in every epoch, with a decaying learning rate."),
    ] = False,
    resume: ResumeOption = False,
) -> None:
    """Train a small model (119,530 parameters) for handwritten digits."""
    from rich.console import Console

    from seewhy.startup_log import quiet_start
    from seewhy.train.digits_data import read_digits

    read_digits(data)
    _check_run_folder(out, resume=resume)

    with quiet_start():
        from seewhy.train.digits import DigitsRecipe, train_digits

    console = Console(soft_wrap=not sys.stdout.isatty())
    recipe = DigitsRecipe(epochs=epochs, batch_size=batch_size, seed=seed, augment=augment)
    with _print_how_to_resume(out):
        last = train_digits(data, out, recipe, resume=resume, console=console)[-1]
    console.print(f"test accuracy {last['validation_accuracy']:.4f} after epoch {last['epoch']}", highlight=False)
    _print_folder(out, console)


@app.command(cls=Command)
@with_log_level
def transfer(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA_DIR",
            help="A folder that contains a folder of images for each class; or train/ and validation/ with those.",
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The base model: efficientnet-lite0, or a model of keras.applications listed by 'seewhy models'.",
        ),
    ] = DEFAULT_BASE,
    out: OutOption = Path("runs/transfer"),
    weights: Annotated[
        BaseWeights, typer.Option(help="The initial weights of the base model: trained on ImageNet, or random.")
    ] = BaseWeights.imagenet,
    size: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="The height and width of the model's input, in pixels.", show_default="224"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="The number of epochs with a frozen base model.")] = 5,
    fine_tune: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="The number of further epochs in which the base model is trained too."),
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="The number of images in a batch.")] = 16,
    validation: Annotated[
        float,
        typer.Option(
            metavar="NUMBER", help="The fraction of each class for validation, if there is no validation/ folder."
        ),
    ] = 0.2,
    seed: SeedOption = 0,
    augment: Annotated[bool, typer.Option(help="Flip and rotate the images at random in training.")] = True,
    resume: ResumeOption = False,
) -> None:
    """Train a model for your own classes on top of a model trained on ImageNet."""
    from rich.console import Console

    from seewhy.models.keras_applications import check_name
    from seewhy.startup_log import quiet_start
    from seewhy.train.image_folder import find_class_folders

    if base != DEFAULT_BASE:
        check_name(base, [DEFAULT_BASE])
    find_class_folders(data)
    _check_run_folder(out, resume=resume)

    with quiet_start():
        from seewhy.train.transfer import TransferRecipe, train_transfer

    recipe = TransferRecipe(
        base=base,
        pretrained=weights is BaseWeights.imagenet,
        size=size,
        epochs=epochs,
        fine_tune=fine_tune,
        batch_size=batch_size,
        validation=validation,
        seed=seed,
        augment=augment,
    )
    console = Console(soft_wrap=not sys.stdout.isatty())
    with _print_how_to_resume(out):
        result = train_transfer(data, out, recipe, resume=resume, console=console, track=_image_progress_bar)
    _print_skipped(result.images, console)
    best = result.best
    console.print(
        f"best: epoch {best['epoch']}, validation accuracy {best['validation_accuracy']:.4f}",
        highlight=False,
    )
    _print_confusion_matrix(result.images.class_names, result.confusion_matrix.tolist(), console)
    _print_folder(out, console)


def _check_run_folder(out: Path, *, resume: bool) -> None:
    """Raise SeewhyError if no run can start in the folder, before a framework is imported, which takes seconds."""
    from seewhy.images.figure import check_matplotlib
    from seewhy.train.run_folder import Run

    check_matplotlib()
    if not resume:
        Run(out).check_empty()


@contextlib.contextmanager
def _print_how_to_resume(out: Path) -> Iterator[None]:
    """After Ctrl-C, print how to resume the run."""
    try:
        yield
    except KeyboardInterrupt:
        if not (out / "config.json").exists():
            raise
        sys.stderr.write(
            f"\nInterrupted. The finished epochs are saved in {out}. To resume the run, add --resume to the same "
            "command.\n"
        )
        raise typer.Exit(INTERRUPTED) from None


def _image_progress_bar(paths: list[Path]) -> Iterable[Path]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(paths, "Checking the images", console=console, transient=True, disable=not console.is_terminal)


def _print_skipped(images: "ImageFolder", console: "Console") -> None:
    training, validation = len(images.split("train")), len(images.split("validation"))
    console.print(f"{training} training images, {validation} validation images", highlight=False)
    skipped = images.split("skipped")
    if skipped:
        console.print(f"skipped {len(skipped)} that cannot be read (see images.csv):", highlight=False)
        for image in skipped[:MAX_SKIPPED_LINES]:
            console.print(f"  {image.reason}", markup=False, highlight=False, soft_wrap=True)


def _print_confusion_matrix(names: Sequence[str], matrix: Sequence[Sequence[int]], console: "Console") -> None:
    from seewhy.cli.tables import print_table

    if len(names) > MAX_PRINTED_CLASSES:
        return  # confusion.csv and confusion.png have it
    headings = ["true class", *(f"predicted {name}" for name in names)]
    rows = [[name, *map(str, counts)] for name, counts in zip(names, matrix, strict=True)]
    print_table(console, headings, rows, right=range(1, len(headings)))


def _print_folder(out: Path, console: "Console") -> None:
    console.print(f"wrote {out}; next: seewhy explain IMAGE --model {out}", markup=False, soft_wrap=True)
