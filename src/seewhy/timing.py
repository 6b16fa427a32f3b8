"""Measure where the time goes: the seconds that each phase of the work takes.

>>> with seewhy.timing.measure() as times:
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

from seewhy.threads import ForkSafeLock


class Phase(StrEnum):
    """A phase of the work, in the order of the pipeline; the value is its name in a table."""

    IMPORTING = "importing the framework and other packages"
    LOADING = "building the model and loading its weights"
    AWAITING_IMAGES = "waiting for images to be read"
    READING = "reading images"
    PREPROCESSING = "preprocessing"
    COMPILING = "tracing and compiling, once per input shape"
    RUNNING = "running the model and the method"
    DRAWING = "drawing"
    AWAITING_FILES = "waiting for files to be written"
    WRITING = "encoding and writing files"


ONCE = frozenset({Phase.IMPORTING, Phase.LOADING, Phase.COMPILING})
"""Phases whose time does not depend on the number of images."""


@final
class Times:
    """Seconds by phase. Time in a nested phase counts for the inner phase only.

    Attributes:
        this_thread: Seconds in the thread that called `measure`. They do not overlap: their sum is at most `total`.
        other_threads: Seconds in all other threads, which work at the same time: their sum may exceed `total`.
    """

    def __init__(self) -> None:
        self.started = perf_counter()
        self._ended: float | None = None
        self._thread = threading.get_ident()
        self._this_thread: dict[Phase, float] = {}
        self._other_threads: dict[Phase, float] = {}
        self.this_thread: Mapping[Phase, float] = MappingProxyType(self._this_thread)
        self.other_threads: Mapping[Phase, float] = MappingProxyType(self._other_threads)

    @property
    def total(self) -> float:
        """Elapsed seconds, until the end of the `with` block or, within it, until now."""
        return (perf_counter() if self._ended is None else self._ended) - self.started

    def table(self, images: int | None = None) -> str:
        """Return the times as a table in plain text.

        Args:
            images: How many images were explained; adds a column with seconds per image.
        """
        total = self.total
        rows = [_row("where the time went", "seconds", "per image" if images else "")]
        rows += _phase_rows(self.this_thread, images)
        rows += [_row("everything else", total - sum(self.this_thread.values())), _row("total elapsed", total)]
        if self.other_threads:
            rows += ["at the same time, in other threads:", *_phase_rows(self.other_threads, images)]
        return "\n".join(rows)

    def __repr__(self) -> str:
        return f"<Times: {self.total:.3f} s in all; measured phases: {len(self.this_thread)}>"

    def __str__(self) -> str:
        return self.table()

    def _add(self, phase: Phase, seconds: float) -> None:
        times = self._this_thread if threading.get_ident() == self._thread else self._other_threads
        times[phase] = times.get(phase, 0.0) + seconds

    def _end(self) -> None:
        self._ended = perf_counter()


_active: tuple[Times, ...] = ()
_lock = ForkSafeLock()
_thread_state = threading.local()


@contextmanager
def measure() -> Iterator[Times]:
    """Measure the seconds of every phase, in all threads, within a `with` block.

    Yields:
        `Times`, which can be read within the block and after it.
    """
    global _active
    times = Times()
    with _lock.lock:
        _active = (*_active, times)
    try:
        yield times
    finally:
        with _lock.lock:
            _active = tuple(other for other in _active if other is not times)
            times._end()


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """Count the seconds within a `with` block, or within a decorated function, for a phase."""
    if not _active:
        yield
        return
    # nested_seconds: what the phases within the current one have taken so far, which counts for them only.
    outer_seconds, _thread_state.nested_seconds = getattr(_thread_state, "nested_seconds", 0.0), 0.0
    start = perf_counter()
    try:
        yield
    finally:
        seconds = perf_counter() - start
        with _lock.lock:
            for times in _active:
                if times.started <= start:
                    times._add(name, seconds - _thread_state.nested_seconds)
        _thread_state.nested_seconds = outer_seconds + seconds


def _phase_rows(seconds: Mapping[Phase, float], images: int | None) -> list[str]:
    return [
        _row(phase, seconds[phase], seconds[phase] / images if images and phase not in ONCE else "")
        for phase in Phase
        if phase in seconds
    ]


def _row(name: str, *columns: float | str) -> str:
    cells = (f"{cell:13.3f}" if isinstance(cell, float) else f"{cell:>13}" for cell in columns)
    return f"{name:<48}{''.join(cells)}".rstrip()
