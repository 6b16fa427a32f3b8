"""The folder of a training run: its configuration, checkpoint, history and model.

config.json      the settings and a checksum of the data; a run is resumed only if both are unchanged
checkpoint.npz   the weights and the optimizer's state after the last finished epoch; deleted at the end
history.csv      a row for each finished epoch; history.png draws it
model.keras      the model, with its sidecar model.json: `seewhy explain IMAGE --model FOLDER`
"""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import ModelError, OptionError, OutputError, WeightsError
from seewhy.images.writing import write_atomically

VERSION = 1

Row = dict[str, float]
"""The metrics of one epoch, by name."""


class Checkpoint(NamedTuple):
    """Everything that the next epoch depends on.

    Attributes:
        history: A row for each finished epoch.
        phase: The number of the training phase of the last finished epoch.
        weights: The model's weights, in its order.
        optimizer: The optimizer's variables, in its order.
    """

    history: list[Row]
    phase: int
    weights: list[NDArray[Any]]
    optimizer: list[NDArray[Any]]


@dataclass(frozen=True)
class RunConfig:
    """The content of `config.json`.

    Attributes:
        kind: "digits" or "transfer".
        data: The path of the data.
        settings: Everything that the result depends on: the recipe's settings and a checksum of the data.
    """

    kind: str
    data: str
    settings: Mapping[str, Any]


class Run:
    """The folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model_path = folder / "model.keras"
        self.config_path = folder / "config.json"
        self._checkpoint_path = folder / "checkpoint.npz"
        self._history_path = folder / "history.csv"

    def start(self, config: RunConfig, *, resume: bool) -> None:
        """Create the folder of a new run, or check that a run can be resumed.

        Raises:
            OptionError, ModelError: As for `check`.
            OutputError: The folder cannot be created or written to.
        """
        self.check(config, resume=resume)
        if not resume:
            content = json.dumps({"version": VERSION, **vars(config)}, indent=2) + "\n"
            write_atomically(self.config_path, lambda file: file.write(content.encode()), durable=True)

    def check(self, config: RunConfig, *, resume: bool) -> None:
        """Check that a run can start in the folder, or can be resumed, without writing anything.

        Raises:
            OptionError: The folder is not empty; or it contains no run to resume, or one with another configuration.
            ModelError: The configuration of the run in the folder is damaged.
            OutputError: The folder cannot be read.
        """
        if not resume:
            self.check_empty()
            return
        if not self.config_path.exists():
            raise OptionError(f"There is no run in {self.folder} to resume. Leave out --resume to start one.")
        saved = self.config()
        if saved.kind != config.kind:
            raise OptionError(f"{self.folder} contains a run of {saved.kind!r}, not of {config.kind!r}. Change --out.")
        names = {**saved.settings, **config.settings}
        changes = "; ".join(
            f"{name}: {saved.settings.get(name)}, now {config.settings.get(name)}"
            for name in names
            if saved.settings.get(name) != config.settings.get(name)
        )
        if changes:
            raise OptionError(
                f"{self.folder} contains a run with other settings or other data ({changes}). Resume it with the same "
                "settings and data, or start a new run with another --out."
            )

    def config(self) -> RunConfig:
        """Read the configuration.

        Raises:
            ModelError: The folder does not contain a run, or the configuration is damaged.
        """
        try:
            content = json.loads(self.config_path.read_text(encoding="utf-8"))
            if content["version"] != VERSION:
                raise ModelError(f"{self.config_path} has version {content['version']}; expected {VERSION}.")
            return RunConfig(content["kind"], content["data"], dict(content["settings"]))
        except OSError as error:
            raise ModelError(
                f"{self.folder} does not contain a run: cannot read {self.config_path.name} "
                f"({error.strerror or error}). Expected the folder that was given to 'seewhy train' with --out."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self.config_path} is damaged: {error!r}.") from error

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are trained and all results are written."""
        return self.model_path.exists() and self._history_path.exists() and not self._checkpoint_path.exists()

    def finish(self) -> None:
        """Delete the checkpoint, which only an unfinished run needs."""
        self._checkpoint_path.unlink(missing_ok=True)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the history, for the user to read, and then the checkpoint, from which the run is resumed."""
        self.write_table("history.csv", checkpoint.history)
        arrays: dict[str, Any] = {
            "history": np.array(json.dumps(checkpoint.history)),
            "phase": np.array(checkpoint.phase),
        }
        arrays |= {f"weights_{i:05d}": values for i, values in enumerate(checkpoint.weights)}
        arrays |= {f"optimizer_{i:05d}": values for i, values in enumerate(checkpoint.optimizer)}
        buffer = io.BytesIO()  # on a full disk, closing a zip file raises other errors than OSError
        np.savez(buffer, **arrays)
        write_atomically(self._checkpoint_path, lambda file: file.write(buffer.getbuffer()), durable=True)

    def load_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint; None if no epoch is finished.

        Raises:
            WeightsError: The file is damaged.
        """
        if not self._checkpoint_path.exists():
            return None
        try:
            with np.load(io.BytesIO(self._checkpoint_path.read_bytes()), allow_pickle=False) as file:
                weights, optimizer = (
                    [file[name] for name in sorted(file.files) if name.startswith(prefix)]
                    for prefix in ("weights_", "optimizer_")
                )
                return Checkpoint(json.loads(str(file["history"])), int(file["phase"]), weights, optimizer)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"{self._checkpoint_path} is damaged: {error}. Start a new run with another --out."
            ) from error

    def history(self) -> list[Row]:
        """Read the rows of a finished run."""
        return [
            {name: int(value) if name == "epoch" else float(value) for name, value in row.items()}
            for row in self.read_table("history.csv")
        ]

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows as CSV, with the names in the first row as header."""
        write_table(self.folder / name, rows)

    def read_table(self, name: str) -> list[dict[str, str]]:
        """Read the rows of a CSV file.

        Raises:
            ModelError: The file cannot be read.
        """
        try:
            with (self.folder / name).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, csv.Error) as error:
            raise ModelError(f"Cannot read {self.folder / name}, which is part of a run: {error}.") from error

    def check_empty(self) -> None:
        """Raise OptionError unless the folder is empty or does not exist; OutputError if it cannot be read."""
        try:
            is_used = self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir()))
        except OSError as error:
            raise OutputError(f"Cannot use the folder {self.folder}: {error.strerror or error}.") from error
        if is_used and self.config_path.exists():
            raise OptionError(
                f"{self.folder} already contains a run of {self.config().kind!r}. Resume it with --resume, or start a "
                "new run with another --out."
            )
        if is_used:
            raise OptionError(f"{self.folder} is not an empty folder. Change --out.")


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with the names in the first row as header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode("utf-8", "surrogateescape")
    write_atomically(path, lambda file: file.write(content), durable=True)
