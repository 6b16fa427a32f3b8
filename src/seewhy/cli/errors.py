"""`seewhy errors`: what a trained model looked at when it was wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from seewhy.train.misclassified import MisclassifiedImages
    from seewhy.train.run import Run


def errors(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'seewhy train' was given with --out.")],
    limit: Annotated[int, typer.Option(min=1, help="How many mistakes are explained, the surest first.")] = 9,
    data: Annotated[
        Path | None, typer.Option(help="Where the data are now, if they were moved.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option(help="A name that 'seewhy methods' lists.")] = "gradcam",
) -> None:
    """Explain a trained model's mistakes on the images it was not trained on.

    For each: what speaks for the class it is, and what for the class it was taken for. Writes errors.png and errors.csv
    into the run's folder.
    """
    from rich.console import Console

    from seewhy.cli.terminal import quiet_start
    from seewhy.train.run import Run

    with quiet_start():
        from seewhy.train.misclassified import explain_mistakes

        folder = Run(run)
        found = explain_mistakes(folder, limit, data, method)
    console = Console()
    console.print(f"{found.count} mistakes on {found.images} images", highlight=False)
    if found.shown:
        _show(found, folder, console)


def _show(found: "MisclassifiedImages", run: "Run", console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    from seewhy.train.plots import write_figure

    table = Table("image", "is", "probability", "taken for", "probability")
    rows = []
    for each in found.shown:
        label, predicted = each.explanation.targets
        answer = each.answer
        shown = (f"{answer.label_probability:.4f}", f"{answer.probability:.4f}")
        table.add_row(Text(each.name), Text(label.name), shown[0], Text(predicted.name), shown[1])
        rows.append(
            {
                "image": each.name,
                "class": label.name,
                "probability": answer.label_probability,
                "taken_for": predicted.name,
                "taken_for_probability": answer.probability,
            }
        )
    console.print(table)
    run.write_table("errors.csv", rows)
    write_figure(found.figure(), run.folder / "errors.png")
    console.print(f"wrote {run.folder / 'errors.png'} and errors.csv", markup=False, soft_wrap=True)
