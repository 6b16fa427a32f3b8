"""The key of what runs of a model have shown, for a shape of input, a layer and a kind of objective."""

from collections.abc import Hashable
from typing import Any

from seewhy.frameworks import LayerChoice
from seewhy.frameworks.structures import InputBatch, shape_key
from seewhy.targets import Objective


def evidence_key(inputs: InputBatch, layer: LayerChoice, objective: Objective) -> tuple[Hashable, ...]:
    """Return the key. Functions made at one place in the code share one, such as a lambda in a loop."""
    return (shape_key(inputs), layer, _by_code(objective.key))


def _by_code(key: Any) -> Hashable:
    """Return a key with the code of functions in their place; a loop may make a new function in each round."""
    if isinstance(key, tuple):
        return tuple(_by_code(part) for part in key)
    code: Hashable = getattr(key, "__code__", key)
    return code
