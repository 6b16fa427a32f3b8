"""Compiled functions, kept for the next call."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from seewhy import timing
from seewhy.frameworks.layers import LayerCall
from seewhy.targets.target import Shape
from seewhy.timing import Phase

MAX_COMPILED = 16
"""How many compiled functions a cache keeps, of some 10 MB each; the least recently used is dropped."""


class CompiledCache:
    """A least-recently-used cache of what is costly to make. Threads may share it."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the entry of a key, made if it is new."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        # Not under the lock: a trace takes a second, and other shapes need not wait. Two threads may both make it.
        with timing.phase(Phase.COMPILING):
            entry = make()
        with self._lock:
            entry = self._entries.setdefault(key, entry)
            while len(self._entries) > MAX_COMPILED:
                self._entries.popitem(last=False)
        return entry


class CompiledCapture(NamedTuple):
    """A compiled function that makes a capture, and what was learned while it was traced.

    Attributes:
        function: The inputs and a target's arrays to the tensors of a `Capture`, by name.
        layer: The name of the tapped layer.
        shape: The shape of the selected output; None where none is selected.
    """

    function: Callable[..., Any]
    layer: str
    shape: Shape | None


class CompiledHead(NamedTuple):
    """A compiled trunk and head, and what was learned while they were traced.

    Attributes:
        trunk: The inputs to the tensors that pass by the layer.
        head: Perturbations of the layer's output, those tensors and a target's arrays to scores.
        call: The layer's call.
        shape: The shape of the selected output; None where none is selected.
    """

    trunk: Callable[..., Any]
    head: Callable[..., Any]
    call: LayerCall
    shape: Shape | None


def timed_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose first call, in which the framework compiles it, is timed as compiling."""
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
