"""Options that say how a command runs: on which device, on how many images, and how many at once."""

from typing import Annotated

import typer

DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="The device on which the model runs: cpu; cuda, or cuda:1 for the second; mps; or gpu, the first "
        "accelerator. For ONNX models also the name of an execution provider. 'seewhy doctor' lists what is there.",
        show_default="that which the framework takes; for ONNX models cpu",
    ),
]

BATCH_SIZE_HELP = "How many images, or perturbations of an image, run at once, which bounds the memory."

DEFAULT_BATCH_SIZE = 16

BatchSizeOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help=BATCH_SIZE_HELP, show_default=str(DEFAULT_BATCH_SIZE))
]

RecursiveOption = Annotated[
    bool,
    typer.Option("--recursive/--no-recursive", help="Whether folders are searched with their subfolders."),
]

LIMIT_HELP = "Explain at most N images"

LimitOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help=f"{LIMIT_HELP}: the first that are found.", show_default=False),
]
