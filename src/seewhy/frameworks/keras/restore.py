"""Calling Keras models without side effects."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from seewhy.frameworks.keras.private_api import losses, restore_losses, sublayers


@contextmanager
def preserve_keras_state(model: Any) -> Iterator[None]:
    """Let a model be called, and restore its state: seeds, moving averages and losses."""
    kept = [(layer, *losses(layer)) for layer in _all_layers(model)]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for layer, values, ids in kept:  # a call clears them, even if it adds none
            if values:
                restore_losses(layer, values, ids)


def _all_layers(model: Any) -> list[Any]:
    """Return a model and all of its layers, without duplicates."""
    layers, pending = {id(model): model}, [model]
    while pending:
        for layer in sublayers(pending.pop()):
            if id(layer) not in layers:
                layers[id(layer)] = layer
                pending.append(layer)
    return list(layers.values())
