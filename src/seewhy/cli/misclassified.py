"""`seewhy errors`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seewhy.cli.terminal import quiet_start
from seewhy.train.misclassified import MisclassifiedImages, explain_misclassified
from seewhy.train.plots import write_figure
from seewhy.train.run_folder import Run


def run(folder: Path, limit: int, data: Path | None, method: str) -> None:
    """Explain the misclassified images of a run, print them, and write errors.png and errors.csv.

    Raises:
        SeewhyError: The folder does not contain a run, or the data are missing.
    """
    training_run = Run(folder)
    with quiet_start():
        misclassified = explain_misclassified(training_run, limit, data, method)
    console = Console()
    console.print(f"{misclassified.count} of {misclassified.evaluated} images are misclassified", highlight=False)
    if misclassified.explained:
        _print_and_write(misclassified, training_run, console)


def _print_and_write(misclassified: MisclassifiedImages, training_run: Run, console: Console) -> None:
    table = Table("image", "true class", "probability", "predicted class", "probability")
    rows = []
    for image in misclassified.explained:
        true_target, predicted_target = image.explanation.targets
        prediction = image.prediction
        table.add_row(
            Text(image.name),
            Text(true_target.name),
            f"{prediction.true_probability:.4f}",
            Text(predicted_target.name),
            f"{prediction.predicted_probability:.4f}",
        )
        rows.append(
            {
                "image": image.name,
                "true_class": true_target.name,
                "true_probability": prediction.true_probability,
                "predicted_class": predicted_target.name,
                "predicted_probability": prediction.predicted_probability,
            }
        )
    console.print(table)
    training_run.write_table("errors.csv", rows)
    write_figure(misclassified.figure(), training_run.folder / "errors.png")
    console.print(f"wrote {training_run.folder / 'errors.png'} and errors.csv", markup=False, soft_wrap=True)
