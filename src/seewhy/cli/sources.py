"""Which model the command line was asked for."""

import contextlib
import os
import sys
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
        with contextlib.redirect_stdout(sys.stderr):  # where Keras says what it downloads; the other has the results
            return load(self.source, None if self.weights == "none" else self.weights, trust=self.trust)
