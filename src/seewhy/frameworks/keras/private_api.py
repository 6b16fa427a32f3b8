"""Every private name of Keras that SeeWhy uses, in this file alone.

They are the same in Keras 3.10 to 3.15; `pyproject.toml` requires 3.10 or newer, and not 4. No other file uses one
(decision 0001; a test checks it).

| name | used for |
| --- | --- |
| `Layer._flatten_layers` | the layers inside a layer, of which Keras has no public list |
| `Layer._losses`, `Layer._loss_ids` | the losses that a call clears |
| `global_state.GLOBAL_STATE_TRACKER` | the scopes that an interrupted call leaves open |
| `Functional._inputs_struct` | the structure of a model's inputs |
"""

from typing import Any

from keras.src.backend.common.global_state import GLOBAL_STATE_TRACKER


def sublayers(layer: Any) -> list[Any]:
    """Return a layer's direct sublayers, in the order in which they were added."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def all_sublayers(layer: Any) -> list[Any]:
    """Return the layers inside a layer at any depth, each once."""
    return list(layer._flatten_layers(include_self=False))


def input_structure(model: Any) -> Any:
    """Return a model's symbolic inputs, in the structure that the model takes."""
    return getattr(model, "_inputs_struct", model.inputs[0])


def losses(layer: Any) -> tuple[list[Any], set[Any]]:
    """Return copies of a layer's losses and of their ids."""
    return list(layer._losses), set(layer._loss_ids)


def restore_losses(layer: Any, values: list[Any], ids: set[Any]) -> None:
    """Give a layer the losses back that it had."""
    layer._losses[:] = values
    layer._loss_ids.update(ids)


def thread_state() -> dict[str, Any]:
    """Return Keras's state of this thread, such as its open scopes; assigning to it changes the state."""
    state: dict[str, Any] = vars(GLOBAL_STATE_TRACKER)
    return state
