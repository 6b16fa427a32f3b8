"""The fingerprint of a model: a hash of its weights and its configuration."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def fingerprint(configuration: Iterable[Any], weights: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """Return the hash of a configuration and of named weights, in hexadecimal.

    Args:
        configuration: What JSON can hold, or whose type stands for it.
        weights: The name of each weight and its values.
    """
    digest = hashlib.sha256()
    for item in configuration:
        digest.update(json.dumps(item, sort_keys=True, default=_type_name).encode() + b"\n")
    for name, array in weights:
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _type_name(value: object) -> str:
    """Return what stands for a value that JSON cannot hold: its own text may hold an address."""
    name: str = getattr(value, "__qualname__", type(value).__qualname__)
    return name
