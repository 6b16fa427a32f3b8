"""Compiled steps, kept for the next call."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from seewhy import timing
from seewhy.timing import Phase

MAX_COMPILED = 16
"""How many steps one model keeps, of some 10 MB each; beyond that the one unused for longest is dropped."""


class CompiledCache:
    """Keeps what is costly to make, by key. Different threads may ask at once."""

    def __init__(self) -> None:
        self._preserve_buffers: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._preserve_buffers)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what was kept under `key`, made if it is new."""
        with self._lock:
            if key in self._preserve_buffers:
                self._preserve_buffers.move_to_end(key)
                return self._preserve_buffers[key]
        # Not under the lock: a trace takes a second, and other shapes need not wait. Two threads may both make it.
        with timing.phase(Phase.COMPILING):
            step = make()
        with self._lock:
            step = self._preserve_buffers.setdefault(key, step)
            while len(self._preserve_buffers) > MAX_COMPILED:
                self._preserve_buffers.popitem(last=False)
        return step


def timed_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose first run, in which the framework compiles it, is noted as compiling."""
    is_compiled = False

    def run(*arguments: Any) -> Any:
        nonlocal is_compiled
        if is_compiled:
            return function(*arguments)
        with timing.phase(Phase.COMPILING):
            result = function(*arguments)
        is_compiled = True
        return result

    return run
