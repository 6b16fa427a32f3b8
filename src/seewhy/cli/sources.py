"""Which model the command line was asked for."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from seewhy.models import Classifier, load


@dataclass(frozen=True)
class ModelRequest:
    """What was asked for with `--model`, `--weights` and `--trust`."""

    source: str
    weights: str
    trust: bool

    def load(self) -> Classifier:
        """Load it, as `seewhy.load` does; `package.module:callable` is looked for in the current folder too."""
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # last, so that no file lying there takes the place of an installed module
        # Keras says what it downloads on standard output, which has the results.
        with _unswept(), contextlib.redirect_stdout(sys.stderr):
            return load(self.source, None if self.weights == "none" else self.weights, trust=self.trust)


@contextlib.contextmanager
def _unswept() -> Iterator[None]:
    """Have Python not look for garbage meanwhile, nor ever again among what is there afterwards.

    A framework is a million objects that stay: sweeping them over and over takes a sixth of the time of its import, and
    slows all that follows.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
