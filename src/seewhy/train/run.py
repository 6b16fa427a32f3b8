"""The folder of a run: what is trained there, how far it has come, and what came of it.

recipe.json    what was asked for, and what the data were: a run is gone on with only if both are the same
state.npz      the weights after the last finished epoch, and what the optimizer knows; gone when all is done
history.csv    a row for each finished epoch; history.png draws it
model.keras    the model, and model.json, its sidecar: `seewhy explain IMAGE --model FOLDER`
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
"""What is known of one epoch."""


class State(NamedTuple):
    """All that the next epoch depends on.

    Attributes:
        history: A row for each finished epoch.
        phase: Which phase the last of them belongs to.
        weights: The model's, in its order.
        optimizer: The optimizer's variables, in its order.
    """

    history: list[Row]
    phase: int
    weights: list[NDArray[Any]]
    optimizer: list[NDArray[Any]]


@dataclass(frozen=True)
class RunConfig:
    """What `recipe.json` says.

    Attributes:
        kind: "digits" or "transfer".
        data: Where the images were.
        settings: All that the result depends on, the data's checksum too.
    """

    kind: str
    data: str
    settings: Mapping[str, Any]


class Run:
    """A run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model.keras"
        self._recipe = folder / "recipe.json"
        self._state = folder / "state.npz"
        self._history = folder / "history.csv"

    def begin(self, recipe: RunConfig, *, resume: bool) -> None:
        """Make the folder of a new run, or see that one can be gone on with.

        Raises:
            OptionError, ModelError: As for `check`.
            OutputError: The folder cannot be made or written to.
        """
        self.check(recipe, resume=resume)
        if not resume:
            content = json.dumps({"version": VERSION, **vars(recipe)}, indent=2) + "\n"
            write_atomically(self._recipe, lambda file: file.write(content.encode()))

    def check(self, recipe: RunConfig, *, resume: bool) -> None:
        """See that a run can begin in the folder, or can be gone on with; nothing is written.

        Raises:
            OptionError: The folder is taken, or holds no run, or that of another recipe or of other data.
            ModelError: The recipe of the run that is there is damaged.
            OutputError: The folder cannot be looked into.
        """
        if not resume:
            self._check_free()
            return
        if not self._recipe.exists():
            raise OptionError(f"There is no run in {self.folder} to go on with. Leave out --resume to begin one.")
        there = self.recipe()
        if there.kind != recipe.kind:
            raise OptionError(f"{self.folder} holds a run of {there.kind!r}, not of {recipe.kind!r}. Change --out.")
        names = {**there.settings, **recipe.settings}
        changed = [name for name in names if there.settings.get(name) != recipe.settings.get(name)]
        if changed:
            told = "; ".join(f"{each}: {there.settings.get(each)}, now {recipe.settings.get(each)}" for each in changed)
            raise OptionError(
                f"{self.folder} holds a run of another recipe or of other data ({told}). Go on with the same, or begin "
                "anew with another --out."
            )

    def recipe(self) -> RunConfig:
        """Read what was asked for.

        Raises:
            ModelError: There is no run in the folder, or its recipe is damaged.
        """
        try:
            content = json.loads(self._recipe.read_text(encoding="utf-8"))
            if content["version"] != VERSION:
                raise ModelError(f"{self._recipe} is of version {content['version']}; expected {VERSION}.")
            return RunConfig(content["kind"], content["data"], dict(content["settings"]))
        except OSError as error:
            raise ModelError(
                f"{self.folder} holds no run: cannot read {self._recipe.name} ({error.strerror or error}). Expected "
                "the folder that 'seewhy train' was given with --out."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self._recipe} is damaged: {error!r}.") from error

    @property
    def is_finished(self) -> bool:
        """Whether every epoch is trained, and what comes of it is written."""
        return self.model.exists() and self._history.exists() and not self._state.exists()

    def finish(self) -> None:
        """Forget what only an unfinished run needs."""
        self._state.unlink(missing_ok=True)

    def save_state(self, state: State) -> None:
        """Keep an epoch: the history for people, then the state, which is what counts."""
        self.write_table("history.csv", state.history)
        arrays: dict[str, Any] = {"history": np.array(json.dumps(state.history)), "phase": np.array(state.phase)}
        arrays |= {f"weights_{i:05d}": each for i, each in enumerate(state.weights)}
        arrays |= {f"optimizer_{i:05d}": each for i, each in enumerate(state.optimizer)}
        buffer = io.BytesIO()  # a zip that cannot be closed, on a full disk, raises more than OSError
        np.savez(buffer, **arrays)
        write_atomically(self._state, lambda file: file.write(buffer.getbuffer()))

    def state(self) -> State | None:
        """Return how far the run has come; None if no epoch is finished.

        Raises:
            WeightsError: The file is damaged.
        """
        if not self._state.exists():
            return None
        try:
            with np.load(io.BytesIO(self._state.read_bytes()), allow_pickle=False) as file:
                weights, optimizer = (
                    [file[name] for name in sorted(file.files) if name.startswith(start)]
                    for start in ("weights_", "optimizer_")
                )
                return State(json.loads(str(file["history"])), int(file["phase"]), weights, optimizer)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise WeightsError(f"{self._state} is damaged: {error}. Begin anew with another --out.") from error

    def history(self) -> list[Row]:
        """Read the rows of a finished run."""
        rows = self.read_table("history.csv")
        return [{"epoch": int(row.pop("epoch")), **{name: float(each) for name, each in row.items()}} for row in rows]

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows as CSV, with the first row's names as headings."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(
            self.folder / name, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape"))
        )

    def read_table(self, name: str) -> list[dict[str, str]]:
        """Read rows of CSV.

        Raises:
            ModelError: The file cannot be read.
        """
        try:
            with (self.folder / name).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, csv.Error) as error:
            raise ModelError(f"Cannot read {self.folder / name}, which a run should have: {error}.") from error

    def _check_free(self) -> None:
        try:
            is_taken = self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir()))
        except OSError as error:
            raise OutputError(f"Cannot use the folder {self.folder}: {error.strerror or error}.") from error
        if is_taken and self._recipe.exists():
            raise OptionError(
                f"{self.folder} already holds a run of {self.recipe().kind!r}. To go on with it, --resume; to begin "
                "another, change --out."
            )
        if is_taken:
            raise OptionError(f"{self.folder} is not an empty folder. Change --out.")
