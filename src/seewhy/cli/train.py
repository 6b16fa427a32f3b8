"""`seewhy train`: recipes that train a model which the other commands can then explain."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from seewhy.train.image_folder import ImageFolder

SHOWN_SKIPPED = 10
INTERRUPTED = 130
"""The exit code of what was ended by Ctrl-C, as shells have it."""

app = typer.Typer(
    name="train",
    help="Train a model that 'seewhy explain' can then explain.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

OutOption = Annotated[Path, typer.Option(help="The folder of the run: new or empty, unless --resume.")]
SeedOption = Annotated[int, typer.Option(help="Of all that is drawn by chance; the same seed gives the same model.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run after its last finished epoch.")
]


class Weights(StrEnum):
    """What the base begins with."""

    imagenet = "imagenet"
    none = "none"


@app.command()
def digits(
    data: Annotated[Path, typer.Option(help="An .npz file with x_train, y_train, x_test, y_test: uint8 28 x 28.")],
    out: OutOption = Path("runs/digits"),
    epochs: Annotated[int | None, typer.Option(help="10, or 30 with --augment.", show_default=False)] = None,
    batch_size: Annotated[int, typer.Option(help="Digits in each step.")] = 64,
    seed: SeedOption = 0,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Distort each digit anew in each epoch, and let the learning rate fall."),
    ] = False,
    resume: ResumeOption = False,
) -> None:
    """Train a small model (119,530 parameters) that reads handwritten digits."""
    from rich.console import Console

    from seewhy.cli.terminal import quiet_start

    with quiet_start():
        from seewhy.train.digits import DigitsRecipe, train_digits

    console = Console()
    recipe = DigitsRecipe(epochs=epochs, batch_size=batch_size, seed=seed, augment=augment)
    with _can_be_gone_on_with(out):
        last = train_digits(data, out, recipe, resume=resume, console=console)[-1]
    console.print(f"test accuracy {last['validation_accuracy']:.4f} after epoch {last['epoch']}", highlight=False)
    _say_where(out, console)


@app.command()
def transfer(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA_DIR", help="A folder of images for each class; or train/ and validation/ of those."
        ),
    ],
    base: Annotated[
        str, typer.Option(help="efficientnet-lite0, or a model of keras.applications that 'seewhy models' lists.")
    ] = "efficientnet-lite0",
    out: OutOption = Path("runs/transfer"),
    weights: Annotated[Weights, typer.Option(help="What the base begins with.")] = Weights.imagenet,
    size: Annotated[
        int | None, typer.Option(help="The side of the images in pixels; 224 if left out.", show_default=False)
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs with the base as it is.")] = 5,
    fine_tune: Annotated[int, typer.Option(metavar="N", help="More epochs, in which the base is trained too.")] = 0,
    batch_size: Annotated[int, typer.Option(help="ImageFolder in each step.")] = 16,
    validation: Annotated[
        float, typer.Option(help="Of each class, the part for validation, where DATA_DIR does not say.")
    ] = 0.2,
    seed: SeedOption = 0,
    augment: Annotated[bool, typer.Option(help="Flip and turn the images while training.")] = True,
    resume: ResumeOption = False,
) -> None:
    """Teach a trained model your own classes, from a folder of images for each."""
    from rich.console import Console

    from seewhy.cli.terminal import quiet_start

    with quiet_start():
        from seewhy.train.transfer import TransferRecipe, train_transfer

    recipe = TransferRecipe(
        base=base,
        pretrained=weights is Weights.imagenet,
        size=size,
        epochs=epochs,
        fine_tune=fine_tune,
        batch_size=batch_size,
        validation=validation,
        seed=seed,
        augment=augment,
    )
    console = Console()
    with _can_be_gone_on_with(out):
        result = train_transfer(data, out, recipe, resume=resume, console=console, track=_looking_through)
    _say_skipped(result.images, console)
    best = result.best
    console.print(
        f"best: epoch {best['epoch']}, validation accuracy {best['validation_accuracy']:.4f}",
        highlight=False,
    )
    _print_confusion(result.images.class_names, result.confusion.tolist(), console)
    _say_where(out, console)


@contextlib.contextmanager
def _can_be_gone_on_with(out: Path) -> Iterator[None]:
    """Say of a run that is interrupted from the keyboard how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        if not (out / "recipe.json").exists():
            raise
        sys.stderr.write(
            f"\nInterrupted. The epochs that were finished are kept in {out}; the same command with --resume goes on "
            "after them.\n"
        )
        raise typer.Exit(INTERRUPTED) from None


def _looking_through(paths: list[Path]) -> Iterable[Path]:
    from rich.console import Console
    from rich.progress import track

    return track(paths, "Reading each image once", console=Console(stderr=True), transient=True)


def _say_skipped(images: "ImageFolder", console: "Console") -> None:
    parts = {part: len(images.part(part)) for part in ("train", "validation")}
    console.print(f"{parts['train']} images to train on, {parts['validation']} to validate on", highlight=False)
    skipped = images.part("skipped")
    if skipped:
        console.print(f"{len(skipped)} skipped, as they cannot be read (all are in images.csv):", highlight=False)
        for each in skipped[:SHOWN_SKIPPED]:
            console.print(f"  {each.reason}", markup=False, highlight=False, soft_wrap=True)


def _print_confusion(names: Sequence[str], matrix: Sequence[Sequence[int]], console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    if len(names) > SHOWN_SKIPPED:
        return  # it would not fit; confusion.csv and confusion.png have it
    table = Table("class")
    for name in names:
        table.add_column(Text(f"taken for {name}"))
    for name, counts in zip(names, matrix, strict=True):
        table.add_row(Text(name), *map(str, counts))
    console.print(table)


def _say_where(out: Path, console: "Console") -> None:
    console.print(f"wrote {out}; next: seewhy explain IMAGE --model {out}", markup=False, soft_wrap=True)
