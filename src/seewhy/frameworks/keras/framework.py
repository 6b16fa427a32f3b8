"""What Keras models have in common on every backend: their layers, and how to listen to them."""

import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.base import Framework, check_precision
from seewhy.frameworks.keras.layouts import inherited_channels_first, stated_channels_first, tensors
from seewhy.frameworks.layers import INPUT_CALL, LayerCall
from seewhy.frameworks.structures import Inputs, map_leaves, message_of
from seewhy.types import Precision, Tensor

CallHook = Callable[[str, Any, Any, Any], Any]
"""What is told of a call, by path, layer, output and arguments; what it returns goes on in the output's place."""

POOLING = tuple(kind for name, kind in vars(keras.layers).items() if "Pooling" in name and isinstance(kind, type))

CONVOLUTIONS = tuple(kind for name, kind in vars(keras.layers).items() if "Conv" in name and isinstance(kind, type))

UNSCALING = (keras.layers.InputLayer, keras.layers.ZeroPadding2D, keras.layers.RandomFlip, keras.layers.RandomRotation)
"""Layers that leave the values of an image what they are."""

HOOK_LOCK = threading.RLock()
"""Held while any model is listened to: two threads must not put on and take off each other's interception."""


class KerasFramework(Framework):
    """A Keras model, on whichever backend."""

    xp = keras.ops

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        self._model = model
        self._layers = layers_by_path(model)
        check_precision(precision, (each.compute_dtype for each in self._layers.values() if each.weights))
        self._precision = precision

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: Any) -> str | None:
        return next((path for path, known in self._layers.items() if known is layer), None)

    def input_shape(self) -> Any:
        """Return what Keras knows: nothing, for a subclassed model."""
        if getattr(self._model, "inputs", None) is None:
            return None
        structure = getattr(self._model, "_inputs_struct", self._model.inputs[0])
        return map_leaves(lambda each: tuple(each.shape), structure)

    @property
    def channels_first(self) -> bool:
        """Whether the one axis of size 3 of the input, which is an image's, is the first."""
        shape = self.input_shape()
        return isinstance(shape, tuple) and len(shape) == 4 and shape[1] == 3 and shape[3] != 3

    @property
    def _input_call(self) -> LayerCall:
        """What goes into the model, as if it were the output of a first layer."""
        return replace(INPUT_CALL, channels_first=self.channels_first)

    def is_unscaled(self, inputs: Inputs) -> bool:
        return isinstance(self.input_shape(), tuple) and _begins_with_convolution(self._model)

    def _channels_last(self, call: LayerCall, tensor: Tensor) -> Tensor:
        """Return a call's output (N, *space, K), however the layer lays it out."""
        return keras.ops.moveaxis(tensor, 1, -1) if call.channels_first else tensor

    def _laid_out(self, call: LayerCall, perturbations: NDArray[Any]) -> NDArray[Any]:
        """Return perturbations (M, *space, K) as the layer itself lays out its output."""
        return np.moveaxis(perturbations, -1, 1) if call.channels_first else perturbations

    def _targets_second(self, call: LayerCall, gradients: Tensor) -> Tensor:
        """Return gradients (T, N, ...), laid out as the call's output, as (N, T, *space, K)."""
        gradients = keras.ops.swapaxes(gradients, 0, 1)
        return keras.ops.moveaxis(gradients, 2, -1) if call.channels_first else gradients


class CallRecorder:
    """Notes every call of every layer."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._numbers: Counter[str] = Counter()
        self._givers: dict[int, tuple[Any, LayerCall]] = {}

    def record(self, path: str, layer: Any, output: Any, given: Any) -> Any:
        """Note a call, and let its output go on as it is."""
        self.note(path, layer, output, given)
        return output

    def note(self, path: str, layer: Any, output: Any, given: Any) -> LayerCall:
        """Note a call, and return the note."""
        self._numbers[path] += 1
        channels_first = _has_axes(output) and self._is_channels_first(path, layer, output, given)
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=_shape(output, channels_first),
            is_pooling=isinstance(layer, POOLING),
            is_passed_through=self._giver(output) is not None,
            number=self._numbers[path],
            channels_first=channels_first,
        )
        self.remember(output, call)
        self.calls.append(call)
        return call

    def remember(self, output: Any, call: LayerCall) -> None:
        """Remember whose output a tensor is; weakly, for a model's outputs together may be more than memory holds."""
        if keras.ops.is_tensor(output):
            self._givers[id(output)] = (weakref.ref(output), call)

    def _giver(self, tensor: Any) -> LayerCall | None:
        known, call = self._givers.get(id(tensor), (None, None))
        return call if known is not None and known() is tensor else None  # an id is given again after a death

    def _is_channels_first(self, path: str, layer: Any, output: Tensor, given: Any) -> bool:
        """Whether a call's output is (N, K, *space): as the layer says, or as what it was made of.

        That is the output it hands on; the last call inside of it; what it was given; and where none of them is a
        layer's output, as after an operation that is no layer, the last call of all.
        """
        message_of = stated_channels_first(layer, len(output.shape))
        if message_of is not None:
            return message_of
        last = next((call for call in reversed(self.calls) if call.shape is not None and len(call.shape) > 1), None)
        inside = last if last is not None and last.path.startswith(path + "/") else None
        givers = [self._giver(each) for each in tensors(given) if _has_axes(each)]
        known = next((call for call in (self._giver(output), inside, *givers, last) if call is not None), None)
        if known is None:
            return inherited_channels_first(layer, keras.config.image_data_format() == "channels_first")
        return inherited_channels_first(layer, known.channels_first)


def layers_by_path(model: Any) -> dict[str, Any]:
    """Return every layer at every depth by its path, outer before inner, in the order they were added.

    A layer held in two places has the path of the first. A name used twice in one place gets a number: "conv[1]".
    """
    found: dict[str, Any] = {}
    seen = {id(model)}

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

    walk(model, "")
    return found


@contextmanager
def recording_calls(layers: Mapping[str, Any], record: CallHook) -> Iterator[None]:
    """Tell `record` of every call of `layers`, for as long as this is open and in this thread only.

    Args:
        layers: Layers by path.
        hear: Called when a layer returns; what it returns goes on in the output's place. It must not raise: Keras
            rewrites errors that come out of a layer.
    """
    thread = threading.get_ident()
    with HOOK_LOCK, ExitStack() as restore:
        for path, layer in layers.items():
            restore.enter_context(_intercepted(layer, path, record, thread))
        yield


@contextmanager
def _intercepted(layer: Any, path: str, record: CallHook, thread: int) -> Iterator[None]:
    """Put a listening `call` on this one layer object, and take it off again.

    The instance's `__dict__` is written directly: Keras tracks what is set as an attribute, and nothing about the
    layer may have changed afterwards.
    """
    verb = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
    own, call = vars(layer).get(verb), getattr(layer, verb)

    def heard(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        return record(path, layer, output, (args, kwargs)) if threading.get_ident() == thread else output

    vars(layer)[verb] = heard
    try:
        yield
    finally:
        if own is None:
            del vars(layer)[verb]
        else:
            vars(layer)[verb] = own


@contextmanager
def preserve_keras_state(model: Any) -> Iterator[None]:
    """Let a model be called and keep what it remembers: no seed is drawn, no average moves, the losses stay."""
    every = [model, *layers_by_path(model).values()]
    losses = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in every if layer._losses]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for layer, kept, ids in losses:  # a call clears them, even where it notes none of its own
            layer._losses[:] = kept
            layer._loss_ids.update(ids)


def _begins_with_convolution(model: Any) -> bool:
    """Whether only layers that leave values as they are come before the first convolution.

    False for a subclassed model too: what its own `call` does cannot be told.
    """
    if not type(model).__module__.startswith("keras."):
        return False
    # A functional model lists also operations that are no layers, such as a division by 255.
    operations = model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", [])
    first = next((each for each in operations if not isinstance(each, UNSCALING)), None)
    return isinstance(first, CONVOLUTIONS) or (isinstance(first, keras.Model) and _begins_with_convolution(first))


def plain(error: Exception) -> str:
    """Return a message without the terminal colours that Keras puts into it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", message_of(error))


def _has_axes(output: Any) -> bool:
    """Whether this is one tensor with an axis besides the batch and the channels."""
    return bool(keras.ops.is_tensor(output)) and len(output.shape) > 2


def _shape(output: Any, channels_first: bool) -> tuple[int | None, ...] | None:
    """Return (*space, K) of an output that is one tensor of real numbers; else None."""
    if not keras.ops.is_tensor(output) or "float" not in keras.backend.standardize_dtype(output.dtype):
        return None
    shape = tuple(None if size is None else int(size) for size in output.shape[1:])
    return (*shape[1:], shape[0]) if channels_first else shape
