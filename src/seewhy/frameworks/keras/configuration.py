"""What a Keras layer was made with, without the names that Keras counts up in a process."""

from typing import Any

import keras

OF_OTHERS = ("name", "layers", "input_layers", "output_layers", "shared_object_id", "build_config")
"""Names, which differ from process to process, and what concerns other layers, which stand for themselves."""


def configuration(layer: keras.Operation) -> list[Any]:
    """Return the class of a layer or an operation, and its configuration as far as it tells it."""
    try:
        config = layer.get_config()
    except NotImplementedError:  # of a custom layer
        config = {}
    return [type(layer).__qualname__, _without_names(config)]


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_names(each) for key, each in value.items() if key not in OF_OTHERS}
    if isinstance(value, (list, tuple)):
        return [_without_names(each) for each in value]
    return value
