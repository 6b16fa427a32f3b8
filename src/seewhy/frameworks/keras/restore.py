"""Calling Keras models without side effects, and every private name of Keras that SeeWhy uses.

They are the same in Keras 3.10 to 3.15; `pyproject.toml` requires 3.10 or newer, and not 4. No other file uses one
(decision 0001; a test checks it).

| name | used for |
| --- | --- |
| `Layer._flatten_layers` | the layers inside a layer, of which Keras has no public list |
| `Layer._losses`, `Layer._loss_ids` | the losses that a call clears |
| `Functional._inputs_struct` | the structure of a model's inputs |
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


def sublayers(layer: Any) -> list[Any]:
    """Return a layer's direct sublayers, in the order in which they were added."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def input_structure(model: Any) -> Any:
    """Return a model's symbolic inputs, in the structure that the model takes."""
    return getattr(model, "_inputs_struct", model.inputs[0])


@contextmanager
def preserve_keras_state(model: Any) -> Iterator[None]:
    """Let a model be called, and restore its state: seeds, moving averages and losses."""
    losses = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in _all_layers(model) if layer._losses]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for layer, layer_losses, ids in losses:  # a call clears them, even if it adds none
            layer._losses[:] = layer_losses
            layer._loss_ids.update(ids)


def _all_layers(model: Any) -> list[Any]:
    """Return a model and all of its layers, without duplicates."""
    layers, pending = {id(model): model}, [model]
    while pending:
        for layer in sublayers(pending.pop()):
            if id(layer) not in layers:
                layers[id(layer)] = layer
                pending.append(layer)
    return list(layers.values())
