"""What Keras networks have in common on every backend: their layers, and how to listen to them."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from seewhy.frameworks.base import Framework
from seewhy.frameworks.layers import INPUT, LayerCall, LayerChoice
from seewhy.frameworks.structures import map_leaves
from seewhy.types import Tensor

Hear = Callable[[str, Any, Any], Any]
"""What is told of a call, by path, layer and output; what it returns goes on in the output's place."""

POOLING = tuple(kind for name, kind in vars(keras.layers).items() if "Pooling" in name and isinstance(kind, type))

ONE_LISTENER = threading.RLock()
"""Held while any network is listened to: two threads must not put on and take off each other's interception."""


class KerasFramework(Framework):
    """A Keras network, on whichever backend."""

    xp = keras.ops

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._layers = layers_by_path(network)

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: Any) -> str | None:
        return next((path for path, known in self._layers.items() if known is layer), None)

    def input_shape(self) -> Any:
        """Return what Keras knows: nothing, for a subclassed network."""
        if getattr(self._network, "inputs", None) is None:
            return None
        structure = getattr(self._network, "_inputs_struct", self._network.inputs[0])
        return map_leaves(lambda each: tuple(each.shape), structure)

    @property
    def channels_first(self) -> bool:
        """Whether the one axis of size 3 of the input, which is a picture's, is the first."""
        shape = self.input_shape()
        return isinstance(shape, tuple) and len(shape) == 4 and shape[1] == 3 and shape[3] != 3

    def _heard_for(self, layer: LayerChoice) -> dict[str, Any]:
        """Return the layers whose calls have to be heard to find the one that is meant."""
        if layer.is_input:
            return {}
        return self._layers if layer.is_auto else {layer.path: self._layers[layer.path]}

    def _is_channels_first(self, path: str) -> bool:
        """Whether the output of a layer, or the network's input, is (N, K, *space)."""
        return self.channels_first if path == INPUT else is_channels_first(self._layers[path])

    def _channels_last(self, path: str, tensor: Tensor) -> Tensor:
        """Return a layer's output (N, *space, K), however the layer lays it out."""
        return keras.ops.moveaxis(tensor, 1, -1) if self._is_channels_first(path) else tensor

    def _laid_out(self, path: str, variations: Tensor) -> Tensor:
        """Return variations (M, *space, K) as the layer itself lays out its output."""
        return np.moveaxis(variations, -1, 1) if self._is_channels_first(path) else variations

    def _targets_second(self, path: str, gradients: Tensor) -> Tensor:
        """Return gradients (T, N, ...), laid out as the layer's output, as (N, T, *space, K)."""
        gradients = keras.ops.swapaxes(gradients, 0, 1)
        return keras.ops.moveaxis(gradients, 2, -1) if self._is_channels_first(path) else gradients


class Ear:
    """Notes every call of every layer."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._numbers: Counter[str] = Counter()
        self._outputs: dict[int, Any] = {}  # by id, and kept alive so that no two share one

    def hear(self, path: str, layer: Any, output: Any) -> Any:
        """Note a call, and let its output go on as it is."""
        self.note(path, layer, output)
        return output

    def note(self, path: str, layer: Any, output: Any) -> LayerCall:
        """Note a call, and return the note."""
        self._numbers[path] += 1
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=_shape(layer, output),
            is_pooling=isinstance(layer, POOLING),
            is_handed_on=id(output) in self._outputs,
            number=self._numbers[path],
        )
        self._outputs[id(output)] = output
        self.calls.append(call)
        return call


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
def listening(layers: Mapping[str, Any], hear: Hear) -> Iterator[None]:
    """Tell `hear` of every call of `layers`, for as long as this is open and in this thread only.

    Args:
        layers: Layers by path.
        hear: Called when a layer returns; what it returns goes on in the output's place. It must not raise: Keras
            rewrites errors that come out of a layer.
    """
    listener = threading.get_ident()
    with ONE_LISTENER, ExitStack() as restore:
        for path, layer in layers.items():
            restore.enter_context(_intercepted(layer, path, hear, listener))
        yield


@contextmanager
def _intercepted(layer: Any, path: str, hear: Hear, listener: int) -> Iterator[None]:
    """Put a listening `call` on this one layer object, and take it off again.

    The instance's `__dict__` is written directly: Keras tracks what is set as an attribute, and nothing about the
    layer may have changed afterwards.
    """
    verb = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
    own, call = vars(layer).get(verb), getattr(layer, verb)

    def heard(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        return hear(path, layer, output) if threading.get_ident() == listener else output

    vars(layer)[verb] = heard
    try:
        yield
    finally:
        if own is None:
            del vars(layer)[verb]
        else:
            vars(layer)[verb] = own


@contextmanager
def undisturbed(network: Any) -> Iterator[None]:
    """Let a network be called and keep what it remembers: no seed is drawn, no average moves, the losses stay."""
    every = [network, *layers_by_path(network).values()]
    losses = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in every if layer._losses]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for layer, kept, ids in losses:  # a call clears them, even where it notes none of its own
            layer._losses[:] = kept
            layer._loss_ids.update(ids)


def is_channels_first(layer: Any) -> bool:
    """Whether a layer's output is (N, K, *space): as it says itself, or as Keras is set to."""
    return bool((getattr(layer, "data_format", None) or keras.config.image_data_format()) == "channels_first")


def plain(error: Exception) -> str:
    """Return a message without the terminal colours that Keras puts into it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))


def _shape(layer: Any, output: Any) -> tuple[int | None, ...] | None:
    """Return (*space, K) of an output that is one tensor of real numbers; else None."""
    if not keras.ops.is_tensor(output) or "float" not in keras.backend.standardize_dtype(output.dtype):
        return None
    shape = tuple(None if size is None else int(size) for size in output.shape[1:])
    return (*shape[1:], shape[0]) if len(shape) > 1 and is_channels_first(layer) else shape
