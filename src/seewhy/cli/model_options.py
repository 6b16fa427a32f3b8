"""The options `--model`, `--weights` and `--trust`: which model to load."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from seewhy.models import Classifier, load


@dataclass(frozen=True)
class ModelArguments:
    """The values of `--model`, `--weights` and `--trust`."""

    source: str
    weights: str
    trust: bool

    def load(self) -> Classifier:
        """Load the model with `seewhy.load`; `package.module:callable` is searched in the current folder too."""
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # last, so that a file in it does not shadow an installed module
        # Keras prints its downloads on standard output, which is for the results.
        with _garbage_collection_paused(), contextlib.redirect_stdout(sys.stderr):
            return load(self.source, None if self.weights == "none" else self.weights, trust=self.trust)


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
