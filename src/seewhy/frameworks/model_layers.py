"""The layers of a model, which a user may replace between two explanations."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, final

from seewhy.errors import LayerError
from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.layers import LayerChoice

_versions = itertools.count()


class Layers(NamedTuple):
    """The layers that a model has now.

    Attributes:
        by_path: The layers by path, outer before inner.
        version: Another number whenever layers were replaced; a key for what was recorded or compiled.
        evidence: What runs of the model with these layers have shown.
    """

    by_path: dict[str, Any]
    version: int
    evidence: Evidence

    def check(self, layer: LayerChoice) -> None:
        """Raise LayerError for a layer that the model does not have any more."""
        if not (layer.is_input or layer.is_auto or layer.path in self.by_path):
            raise LayerError(
                f"The layer {layer.path!r} is not part of the model any more: it was removed or replaced after the "
                "Explainer was made. Make another Explainer, with a layer that the model has."
            )


@final
class ModelLayers:
    """Finds the layers of a model again after some were replaced.

    Args:
        find: Returns the layers by path.
        structure: Returns a list that is different after layers were replaced. It is computed in every run.
    """

    def __init__(self, find: Callable[[], dict[str, Any]], structure: Callable[[], list[Any]]) -> None:
        self._find = find
        self._structure = structure
        self._found = (structure(), Layers(find(), next(_versions), Evidence()))
        self._held = threading.local()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have `now` return to this thread what it returns now, while nobody changes the model but its own runs."""
        outer = vars(self._held).copy()
        self._held.layers, self._held.has_run = self.now(), False
        try:
            yield
        finally:
            vars(self._held).clear()
            vars(self._held).update(outer)

    def run(self) -> None:
        """Record that the model runs, which may change it: `for_run` looks its layers up again."""
        self._held.has_run = True

    def for_run(self) -> Layers:
        """Return the layers that the model has before a run; `now` returns them from then on where it is held."""
        held: Layers | None = getattr(self._held, "layers", None)
        if held is not None and not self._held.has_run:
            return held
        layers = self._look_up()
        if held is not None:
            self._held.layers = layers
        return layers

    def now(self) -> Layers:
        """Return the layers that the model has now."""
        held: Layers | None = getattr(self._held, "layers", None)
        return self._look_up() if held is None else held

    def _look_up(self) -> Layers:
        structure = self._structure()
        known, layers = self._found  # read once, and after the structure: another thread may find new layers meanwhile
        if structure != known:
            layers = Layers(self._find(), next(_versions), Evidence())
            self._found = (structure, layers)
        return layers
