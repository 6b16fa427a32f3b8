"""The state of random generators, which an explanation leaves as it found it."""

import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def preserved_random_state(counters: Iterable[Any] = ()) -> Iterator[None]:
    """Restore the state of Python's, NumPy's and PyTorch's generators when the block ends, also by an exception.

    Frameworks that were not imported are not imported.

    Args:
        counters: Keras variables that are restored too: the states of a model's own generators.
    """
    python, numpy, torch = random.getstate(), np.random.get_state(), sys.modules.get("torch")
    on_cpu = None if torch is None else torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch is not None and torch.cuda.is_initialized() else []
    kept = [(variable, np.asarray(variable).copy()) for variable in counters]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(on_cpu)
            if on_gpus:
                torch.cuda.set_rng_state_all(on_gpus)
        for variable, value in kept:
            if not np.array_equal(np.asarray(variable), value):
                variable.assign(value)
