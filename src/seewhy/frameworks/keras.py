"""What Keras networks have in common on every backend: their layers, and how to listen to them."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

POOLING = tuple(kind for name, kind in vars(keras.layers).items() if "Pooling" in name and isinstance(kind, type))

ONE_LISTENER = threading.RLock()
"""Held while any network is listened to: two threads must not put on and take off each other's interception."""


def layers_by_path(network: Any) -> dict[str, Any]:
    """Return every layer at every depth by its path, outer before inner, in the order they were added.

    A layer held in two places has the path of the first. A name used twice in one place gets a number: "conv[1]".
    """
    found: dict[str, Any] = {}
    seen = {id(network)}

    def walk(parent: Any, prefix: str) -> None:
        # `Layer` has no public way to its own sublayers; Keras builds `Model.layers` from this same method.
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            path, again = prefix + layer.name, 0
            while path in found:
                again += 1
                path = f"{prefix}{layer.name}[{again}]"
            found[path] = layer
            walk(layer, path + "/")

    walk(network, "")
    return found


@contextmanager
def listening(layers: Mapping[str, Any], hear: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Tell `hear` of every call of `layers`, for as long as this is open and in this thread only.

    Args:
        layers: Layers by path.
        hear: Called with the path, the layer and its output, when the layer returns. It must not raise: Keras
            rewrites errors that come out of a layer.
    """
    listener = threading.get_ident()
    with ONE_LISTENER, ExitStack() as restore:
        for path, layer in layers.items():
            restore.enter_context(_intercepted(layer, path, hear, listener))
        yield


@contextmanager
def _intercepted(layer: Any, path: str, hear: Callable[[str, Any, Any], None], listener: int) -> Iterator[None]:
    """Put a listening `call` on this one layer object, and take it off again.

    The instance's `__dict__` is written directly: Keras tracks what is set as an attribute, and nothing about the
    layer may have changed afterwards.
    """
    verb = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
    own, call = vars(layer).get(verb), getattr(layer, verb)

    def heard(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        if threading.get_ident() == listener:
            hear(path, layer, output)
        return output

    vars(layer)[verb] = heard
    try:
        yield
    finally:
        if own is None:
            del vars(layer)[verb]
        else:
            vars(layer)[verb] = own
