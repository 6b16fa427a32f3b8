"""The command `seewhy errors`. It imports its implementation when it is called, as those of `app` do."""

from pathlib import Path
from typing import Annotated

import typer

from seewhy.cli.option_groups import ModelOptions
from seewhy.cli.options import MODEL_HELP, JsonOption, LayerOption, MethodOption, QuietOption
from seewhy.cli.run_options import DEFAULT_BATCH_SIZE, LIMIT_HELP, BatchSizeOption, RecursiveOption


def errors(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The folder that was given to 'seewhy train' with --out. Or, with DATA, any model: " + MODEL_HELP,
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="A folder that contains a folder of images for each class, named after the class; not needed for the "
            "folder of a training. If it has the "
            "folders train and validation, the images of validation are used.",
            show_default="the data of the training",
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(min=1, metavar="N", help=f"{LIMIT_HELP}: those whose wrong class has the highest probability."),
    ] = 9,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Without DATA, for the folder of a training whose data were moved: where they are now.",
            show_default=False,
        ),
    ] = None,
    recursive: RecursiveOption = True,
    batch_size: BatchSizeOption = None,
    method: MethodOption = "auto",
    layer: LayerOption = "auto",
    model_options: ModelOptions,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The output folder; created if missing.", show_default="errors; that of the run"
        ),
    ] = None,
) -> None:
    """Explain the images that a model misclassifies: of class folders, or of its training.

    Shows the evidence for the true class and for the predicted class of each. Writes errors.png and errors.csv.
    """
    from seewhy.cli.misclassified import Report, run_of_model, run_of_training

    report: Report = "json" if as_json else "nothing" if quiet else "text"
    run_at_once = batch_size or DEFAULT_BATCH_SIZE
    if folder is None:
        run_of_training(Path(model), limit, data, method, report, run_at_once, model_options.device)
        return
    run_of_model(
        model_options.arguments(model),
        folder,
        limit,
        method,
        layer,
        out or Path("errors"),
        report,
        batch_size=run_at_once,
        recursive=recursive,
    )
