"""Where the time goes: the phases of the work, noted while someone asks.

>>> with seewhy.timing.collected() as times:
...     explanations = explainer.explain(["cat.jpg", "dog.jpg"])
>>> print(times.table(images=2))
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from time import perf_counter
from types import MappingProxyType
from typing import final


class Phase(StrEnum):
    """A part of the work, as a table calls it, in the order in which they come."""

    IMPORTING = "importing the framework and what else is needed"
    LOADING = "building the model and loading its weights"
    AWAITING_IMAGES = "waiting for images that are still being read"
    READING = "reading images"
    PREPROCESSING = "preprocessing"
    COMPILING = "tracing and compiling, once for a shape of input"
    RUNNING = "running the model and the method"
    DRAWING = "placing and drawing"
    AWAITING_FILES = "waiting for files that are still being written"
    WRITING = "encoding and writing files"


ONCE = frozenset({Phase.IMPORTING, Phase.LOADING, Phase.COMPILING})
"""Phases that take as long for one image as for a thousand."""


@final
class Times:
    """Seconds by phase. What is inside of another phase counts for the inner one alone.

    Attributes:
        own: Seconds of the thread that asked: they do not overlap, and are together at most `total`.
        meanwhile: Seconds of all other threads, which work at the same time, and add up beyond the clock.
    """

    def __init__(self) -> None:
        self.started = perf_counter()
        self._ended: float | None = None
        self._thread = threading.get_ident()
        self._own: dict[Phase, float] = {}
        self._meanwhile: dict[Phase, float] = {}
        self.own: Mapping[Phase, float] = MappingProxyType(self._own)
        self.meanwhile: Mapping[Phase, float] = MappingProxyType(self._meanwhile)

    @property
    def total(self) -> float:
        """Seconds by the clock, to the end of the `with` block or, inside of it, to now."""
        return (perf_counter() if self._ended is None else self._ended) - self.started

    def table(self, images: int | None = None) -> str:
        """Return all of it as lines of text; with seconds per image too, where it is said how many there were."""
        total = self.total
        rows = [_row("where the time went", "seconds", "per image" if images else "")]
        rows += _rows(self.own, images)
        rows += [_row("everything else", total - sum(self.own.values())), _row("together, by the clock", total)]
        if self.meanwhile:
            rows += ["meanwhile, in other threads:", *_rows(self.meanwhile, images)]
        return "\n".join(rows)

    def __str__(self) -> str:
        return self.table()

    def _add(self, phase: Phase, seconds: float) -> None:
        seen = self._own if threading.get_ident() == self._thread else self._meanwhile
        seen[phase] = seen.get(phase, 0.0) + seconds

    def _end(self) -> None:
        self._ended = perf_counter()


_collecting: tuple[Times, ...] = ()
_lock = threading.Lock()
_here = threading.local()


@contextmanager
def collected() -> Iterator[Times]:
    """Note the seconds of every phase, in all threads, for as long as this is open.

    Yields:
        `Times`, which can be read meanwhile and afterwards.
    """
    global _collecting
    times = Times()
    with _lock:
        _collecting = (*_collecting, times)
    try:
        yield times
    finally:
        with _lock:
            _collecting = tuple(each for each in _collecting if each is not times)
            times._end()


@contextmanager
def phase(which: Phase) -> Iterator[None]:
    """Note how long this is open, if anyone asks; also a decorator of functions."""
    if not _collecting:
        yield
        return
    before, _here.inner = getattr(_here, "inner", 0.0), 0.0  # seconds of the phases inside of the one that is open
    start = perf_counter()
    try:
        yield
    finally:
        seconds = perf_counter() - start
        with _lock:
            for times in _collecting:
                if times.started <= start:
                    times._add(which, seconds - _here.inner)
        _here.inner = before + seconds


def _rows(seconds: Mapping[Phase, float], images: int | None) -> list[str]:
    return [
        _row(each, seconds[each], seconds[each] / images if images and each not in ONCE else "")
        for each in Phase
        if each in seconds
    ]


def _row(name: str, *columns: float | str) -> str:
    cells = (f"{each:13.3f}" if isinstance(each, float) else f"{each:>13}" for each in columns)
    return f"{name:<48}{''.join(cells)}".rstrip()
