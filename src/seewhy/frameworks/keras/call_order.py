"""The order of the calls of a Keras model's layers.

A functional model decides itself in which order it runs the calls of a shared layer: of a Siamese pair it may run the
second call first. In the order of this module they take each other's places, so that they follow each other as they
were written: in the order in which the layer was called when the model was built. A saved model keeps that order. All
other calls, and those of a model with a `call` of its own, follow each other as they run.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, final

import keras

from seewhy.frameworks.keras.private_api import run_nodes, written_rank

Position = tuple[float, ...]
"""The place of a call: that of the call which it is part of, and its own among the calls in that one."""


@final
class CallOrder:
    """Follows which call is part of which, while a model runs."""

    def __init__(self, model: Any) -> None:
        self._slots: dict[int, dict[int, list[int]]] = {}
        self._open = [_OpenCall((), self._slots_of(model))]

    def begin(self, layer: Any) -> None:
        """Begin a call of a layer, as a part of the call that began last and has not ended."""
        position = (*self._open[-1].position, self._open[-1].slot_of(layer))
        self._open.append(_OpenCall(position, self._slots_of(layer)))

    def end(self) -> Position:
        """End the call that began last, and return its place. A call follows the calls that are part of it."""
        return (*self._open.pop().position, math.inf)

    def _slots_of(self, model: Any) -> dict[int, list[int]]:
        """Return the places of every layer's calls in a functional model, in the order in which they were written."""
        if not isinstance(model, keras.Function):
            return {}
        if id(model) not in self._slots:
            run: dict[int, list[tuple[int, int]]] = {}
            for place, (operation, node) in enumerate(run_nodes(model)):
                run.setdefault(id(operation), []).append((place, written_rank(operation, node)))
            self._slots[id(model)] = {operation: _as_written(calls) for operation, calls in run.items()}
        return self._slots[id(model)]


@dataclass
class _OpenCall:
    """A call that has begun.

    Attributes:
        position: Its place.
        slots: The place of each call of a layer in it, in the order in which they run, by the layer's id.
    """

    position: Position
    slots: dict[int, list[int]]
    _counts: Counter[int] = field(default_factory=Counter)
    _others: int = 0

    def slot_of(self, layer: Any) -> int:
        """Return the place of the next call of a layer in this call."""
        slots, count = self.slots.get(id(layer), []), self._counts[id(layer)]
        self._counts[id(layer)] += 1
        if count < len(slots):
            return slots[count]
        self._others += 1  # not a call of the graph: after all of those
        return sum(map(len, self.slots.values())) + self._others


def _as_written(calls: list[tuple[int, int]]) -> list[int]:
    """Give the calls of one layer its places as they were written.

    Args:
        calls: The place at which each call runs, in that order, and the rank in which it was written.
    """
    places, ranks = zip(*calls, strict=True)
    by_rank = dict(zip(sorted(ranks), places, strict=True))
    return [by_rank[rank] for rank in ranks]
