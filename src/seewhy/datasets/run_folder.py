"""The output folder of a run: what it was made with, which parts are there, and whether it is complete.

run.json         what the run was made with; written before the first part
results/         a Parquet file for each chunk of the source; it is there when the chunk is done
errors/          a Parquet file for each chunk in which images failed; moved into place before that of the results
overlays/        where requested, an image for each target of each image; written before the results
manifest.json    the parts and the numbers of their rows; written last, when every chunk is done
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from seewhy.datasets.arrow import pyarrow, pyarrow_parquet
from seewhy.datasets.overlay_files import OVERLAYS
from seewhy.datasets.part import ERRORS, RESULTS, PartCounts, part_path
from seewhy.datasets.records import Chunk
from seewhy.datasets.schema import SCHEMA_VERSION
from seewhy.errors import OptionError, OutputError, short_repr
from seewhy.images.writing import write_atomically, write_first

RUN, MANIFEST = "run.json", "manifest.json"

CHOSEN = ("layer", "method", "method_options", "method_reason", "title", "peak_quantile", "heatmap_shape", "heatmaps")
"""What is found out with the first image; a run that is resumed takes it over."""

MAX_LISTED = 5

MAX_JSON_BYTES = 2**30

Settings = Mapping[str, Any]


@final
class RunFolder:
    """An output folder.

    Args:
        path: The folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            os.stat(path)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise OutputError(f"The output folder {short_repr(str(path))} cannot be used: {why}.") from error

    @property
    def has_run(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / RUN).exists()

    @property
    def is_complete(self) -> bool:
        """Whether every image of the source has its row."""
        return (self.path / MANIFEST).exists()

    def settings(self) -> dict[str, Any]:
        """Return what the run was made with.

        Raises:
            OptionError: No run was begun here, or by another version whose output differs.
        """
        settings = self._read(RUN)
        if settings.get("schema") != SCHEMA_VERSION:
            raise OptionError(
                f"{self.path} has the version {short_repr(settings.get('schema'))} of the output's schema; this is "
                f"SeeWhy with version {SCHEMA_VERSION}. Read it with the SeeWhy that wrote it."
            )
        return settings

    def manifest(self) -> dict[str, Any]:
        """Return the parts and the numbers of their rows."""
        return self._read(MANIFEST)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            with (self.path / name).open("rb") as file:
                content = json.loads(file.read(MAX_JSON_BYTES))
        except FileNotFoundError as error:
            raise OptionError(f"{self.path} is not the output of a run: it has no {name}.") from error
        except (OSError, ValueError) as error:
            raise OptionError(f"{self.path / name} cannot be read: {error}.") from error
        if not isinstance(content, dict):
            raise OptionError(f"{self.path / name} is not that of a run.")
        return content

    def check_unused(self) -> None:
        """Raise OptionError if the folder holds a run, or parts of one."""
        if self.is_complete:
            raise OptionError(f"{self.path} holds a run that is complete. Give another folder, or delete it.")
        if self.has_run:
            raise OptionError(
                f"{self.path} holds a run that is not complete. Go on with resume=True, or give another folder."
            )
        with contextlib.suppress(OSError):
            parts = next((name for name in (RESULTS, ERRORS, OVERLAYS) if any((self.path / name).iterdir())), None)
            if parts is not None:
                raise OptionError(f"{self.path / parts} is not empty. Give another output folder.")

    def check_same(self, requested: Settings) -> dict[str, Any]:
        """Return the settings of the run that was begun here, if it was begun with the same settings.

        Raises:
            OptionError: It was begun with others; the message says which differ.
        """
        begun = self.settings()
        then, now = _flat(begun), _flat(json.loads(json.dumps(requested)))
        differences = [
            _difference(name, then.get(name), value) for name, value in now.items() if then.get(name) != value
        ]
        if differences:
            more = f"; and {len(differences) - MAX_LISTED} more" if len(differences) > MAX_LISTED else ""
            raise OptionError(
                f"{self.path} holds a run with other settings, which cannot be resumed with these. "
                f"{'; '.join(differences[:MAX_LISTED])}{more}. Give the same, or another folder."
            )
        return begun

    def begin(self, settings: Settings) -> bool:
        """Write what the run is made with, and return True; False if another process has begun it meanwhile."""
        content = json.dumps(settings, indent=2, sort_keys=True).encode() + b"\n"
        return write_first(self.path / RUN, lambda file: file.write(content))

    def counts_of(self, chunk: Chunk) -> PartCounts | None:
        """Return the numbers of rows of a chunk's part; None if it is not done."""
        counts = self.counts_of_part(chunk.number)
        return counts if counts is not None and sum(counts) == chunk.count else None

    def counts_of_part(self, number: int) -> PartCounts | None:
        """Return the numbers of rows of a part; None if it is not there, or cannot be read."""
        results = _row_count(part_path(self.path, RESULTS, number))
        return None if results is None else PartCounts(results, _row_count(part_path(self.path, ERRORS, number)) or 0)

    def parts(self) -> Iterator[int]:
        """Yield the numbers of the parts that are done, in order."""
        try:
            names = sorted(path.name for path in (self.path / RESULTS).glob("part-*.parquet"))
        except OSError as error:
            raise OutputError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        yield from (int(name[5:-8]) for name in names if name[5:-8].isdecimal())

    def finish(self, chunks: Sequence[Chunk]) -> bool:
        """Write the manifest if every chunk is done, and return whether it is."""
        counts = [self.counts_of(chunk) for chunk in chunks]
        parts = [each for each in counts if each is not None]
        if len(parts) < len(counts):
            return False
        run = hashlib.sha256((self.path / RUN).read_bytes()).hexdigest()
        manifest = {
            "schema": SCHEMA_VERSION,
            "run": run,
            "images": sum(map(sum, parts)),
            "results": sum(part.results for part in parts),
            "errors": sum(part.errors for part in parts),
            "parts": [part._asdict() for part in parts],
        }
        content = json.dumps(manifest, indent=1).encode() + b"\n"
        write_atomically(self.path / MANIFEST, lambda file: file.write(content), durable=True)
        places = ("", f"{RESULTS}/", f"{ERRORS}/", f"{OVERLAYS}/*/")
        _remove(path for place in places for path in self.path.glob(f"{place}.seewhy-*"))
        return True


def _remove(paths: Iterable[Path]) -> None:
    """Remove what a run that was killed had begun to write."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _row_count(path: Path) -> int | None:
    try:
        return int(pyarrow_parquet().read_metadata(path).num_rows)
    except (OSError, pyarrow().ArrowException):
        return None


def _flat(settings: Settings) -> dict[str, Any]:
    """Return settings with those that are within others beside them."""
    within = [item for value in settings.values() if isinstance(value, dict) for item in value.items()]
    return {name: value for name, value in settings.items() if not isinstance(value, dict)} | dict(within)


def _difference(name: str, then: Any, now: Any) -> str:
    if name == "source_fingerprint":
        return "source_fingerprint: images were added, removed or written again"
    return f"{name}: {_shown(then)} then, {_shown(now)} now"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:60]}..."
