"""Calling Keras models without side effects."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.keras.private_api import losses, restore_losses, sublayers, thread_state

SCOPES = (
    "autocast_scope",
    "current_call_ctx",
    "in_tf_graph_scope",
    "name_scope_stack",
    "remat_scope_stack",
    "stateless_scope",
    "symbolic_scope",
)
"""The entries of Keras's state of a thread that are scopes."""


@contextmanager
def preserve_keras_state(model: Any) -> Iterator[None]:
    """Let a model be called, and restore its state: seeds, moving averages and losses."""
    records = [(layer, *losses(layer)) for layer in _all_layers(model)]

    def restore() -> None:
        for layer, values, ids in records:  # a call clears them, even if it adds none
            if values:
                restore_losses(layer, values, ids)

    with _preserve_scopes(), restoring(restore), keras.StatelessScope():
        yield


@contextmanager
def _preserve_scopes() -> Iterator[None]:
    """Restore this thread's scopes (names, stateless calls, ...), which Keras leaves open if it is interrupted."""
    state = thread_state()
    before = {name: (state[name], _items(state[name])) for name in SCOPES if name in state}

    def restore() -> None:
        for name in SCOPES:
            if name in before:
                state[name], items = before[name]
                if items is not None and state[name] != items:
                    state[name][:] = items
            else:
                state.pop(name, None)

    with restoring(restore):
        yield


def _items(scope: Any) -> list[Any] | None:
    """Return a copy of a stack of scopes; None for a single scope."""
    return list(scope) if isinstance(scope, list) else None


def _all_layers(model: Any) -> list[Any]:
    """Return a model and all of its layers, without duplicates."""
    layers, pending = {id(model): model}, [model]
    while pending:
        for layer in sublayers(pending.pop()):
            if id(layer) not in layers:
                layers[id(layer)] = layer
                pending.append(layer)
    return list(layers.values())
