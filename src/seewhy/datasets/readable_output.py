"""What the formats of other programs read of the output of a run."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seewhy.datasets.records import Source

Row = Mapping[str, Any]
Filter = Any | Callable[[Row], bool] | None
"""Which rows are taken: an expression of `pyarrow.compute`; a function of a row, a dict; or None for all."""


class ReadableOutput(ABC):
    """The output of a run, read part by part."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The output folder."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """What the run was made with."""

    @abstractmethod
    def rows(self, columns: list[str] | None = None, where: Filter = None) -> Iterator[Row]:
        """Yield the results as dicts, in the order of the source."""

    @abstractmethod
    def find_source(self) -> Source:
        """Return the source of the run, found again."""
