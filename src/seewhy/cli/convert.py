"""`seewhy convert`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import typer

from seewhy import datasets
from seewhy.datasets.output import Output
from seewhy.errors import OptionError, warn


class Format(NamedTuple):
    """A format of `--to`.

    Attributes:
        write: The method of an output that writes it.
        name: What the file is called by default.
        options: The options that it has.
    """

    write: Callable[..., Path]
    name: str
    options: tuple[str, ...] = ()


FORMATS = {
    "coco": Format(Output.to_coco, "coco.json"),
    "masks": Format(Output.to_masks, "masks", ("threshold",)),
    "fiftyone": Format(Output.to_fiftyone, "fiftyone.json", ("images",)),
    "label-studio": Format(Output.to_label_studio, "label-studio.json", ("images",)),
    "csv": Format(Output.to_csv, "targets.csv"),
}


def run(folder: Path, to: str, out: Path | None, images: str | None, threshold: float | None, *, as_json: bool) -> None:
    """Write the output of a run in another format, and print the path.

    Raises:
        SeewhyError: The folder is not that of a run, an option does not apply, or the path cannot be written.
    """
    found = FORMATS[to]
    given: dict[str, Any] = {"images": images, "threshold": threshold}
    options = {name: value for name, value in given.items() if value is not None}
    for name in options:
        if name not in found.options:
            others = " and ".join(other for other, each in FORMATS.items() if name in each.options)
            raise OptionError(f"--{name} does not apply to {to}, but to {others}. Leave it out.")
    output = datasets.open(folder)
    if not output.is_complete:
        warn(f"The run in {folder} is not complete: only what is there is written.")
    path = found.write(output, folder / found.name if out is None else out, **options)
    typer.echo(json.dumps({"path": str(path), "format": to}) if as_json else f"wrote {path}")
