"""The options that say which model to load: `--model`, `--weights`, `--architecture` and others."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seewhy.errors import OptionError
from seewhy.models import Classifier, ClassNames
from seewhy.models.overrides import Overrides
from seewhy.models.registry import ModelSpec, check
from seewhy.targets import Target, resolve


@dataclass(frozen=True)
class ModelArguments:
    """The values of the options; None for those that were not given."""

    source: str
    weights: str = "imagenet"
    trust: bool = False
    architecture: str | None = None
    class_names: str | None = None
    preprocessing: str | None = None
    input_size: str | None = None
    backend: str | None = None
    prompts: Sequence[str] | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(self.prompts) if self.prompts else None)  # hashable

    def check(self) -> ModelSpec:
        """Check the options as far as that is possible before a framework is imported, which takes seconds."""
        size = _parse_size(self.input_size)
        overrides = Overrides.parse(self.class_names, self.preprocessing, size, self.prompts)
        weights = None if self.weights == "none" else self.weights
        return check(self.source, weights, self.architecture, overrides, self.backend, self.device)

    def load(self) -> Classifier:
        """Load the model as `seewhy.load` does; `package.module:callable` is searched in the current folder too."""
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # last, so that a file in it does not shadow an installed module
        spec = self.check()
        # Keras prints its downloads on standard output, which is for the results.
        with _garbage_collection_paused(), contextlib.redirect_stdout(sys.stderr):
            return spec.load(trust=self.trust)


def check_targets(targets: object, spec: ModelSpec) -> Target:
    """Return the targets as they are without the model; the classes may be others, where its class names are unknown.

    Raises:
        TargetError: The targets are wrong for any model, or for the class names of this one, if known.
    """
    names = spec.class_names
    if names is None:
        return resolve(targets, lambda query: int(query) if isinstance(query, int) else 0)
    known = names if isinstance(names, ClassNames) else ClassNames(names)
    return resolve(targets, known.find)


def _parse_size(size: str | None) -> int | tuple[int, ...] | None:
    """Parse "224"; "240x320", height by width; or the three sides of a volume or a video."""
    if size is None:
        return None
    sides = size.lower().split("x")
    if not 1 <= len(sides) <= 3 or not all(side.strip().isdecimal() and len(side) <= 9 for side in sides):
        raise OptionError(
            f"--input-size is {size!r}; expected a side, such as 224; height x width: 240x320; or "
            "the sides of a volume or a video: 32x64x64."
        )
    return int(sides[0]) if len(sides) == 1 else tuple(map(int, sides))


@contextlib.contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause garbage collection, and exclude all objects that exist afterwards from it.

    A framework creates a million objects that are never freed. Collecting them repeatedly takes a sixth of the import
    time, and slows down everything after it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
