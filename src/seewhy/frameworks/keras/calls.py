"""The layers of a Keras model, and recording their calls."""

import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from seewhy.frameworks.keras.layouts import inherited_channels_first, stated_channels_first, tensors
from seewhy.frameworks.keras.restore import sublayers
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.recorder import Recorder
from seewhy.types import Tensor

POOLING = tuple(kind for name, kind in vars(keras.layers).items() if "Pooling" in name and isinstance(kind, type))

HOOK_LOCK = threading.RLock()
"""Held while any model is recorded: two threads must not install and remove each other's interceptions."""


class KerasRecorder(Recorder):
    """Records every call of every layer."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._numbers: Counter[str] = Counter()
        self._givers: dict[int, tuple[Any, LayerCall]] = {}

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and return its output unchanged."""
        self.note(path, layer, output, arguments)
        return output

    def note(self, path: str, layer: Any, output: Any, arguments: Any) -> LayerCall:
        """Record a call, and return the record."""
        self._numbers[path] += 1
        channels_first = _has_axes(output) and self._is_channels_first(path, layer, output, arguments)
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

    def _is_channels_first(self, path: str, layer: Any, output: Tensor, arguments: Any) -> bool:
        """Whether a call's output is (N, K, *space): as the layer says, or as what it was made of.

        That is the output it hands on; the last call inside of it; what it was given; and where none of them is a
        layer's output, as after an operation that is no layer, the last call of all.
        """
        message_of = stated_channels_first(layer, len(output.shape))
        if message_of is not None:
            return message_of
        last = next((call for call in reversed(self.calls) if call.shape is not None and len(call.shape) > 1), None)
        inside = last if last is not None and last.path.startswith(path + "/") else None
        givers = [self._giver(each) for each in tensors(arguments) if _has_axes(each)]
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
        for layer in sublayers(parent):
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
def recording_calls(layers: Mapping[str, Any], recorder: Recorder) -> Iterator[None]:
    """Have a recorder observe every call of `layers`, by path, while this is open and in this thread only.

    What `Recorder.record` returns goes on in the output's place.
    """
    thread = threading.get_ident()
    with HOOK_LOCK, ExitStack() as restore:
        for path, layer in layers.items():
            restore.enter_context(_intercepted_call(layer, path, recorder, thread))
        yield


@contextmanager
def _intercepted_call(layer: Any, path: str, recorder: Recorder, thread: int) -> Iterator[None]:
    """Replace the `call` of this one layer object by one that is observed, and restore it.

    The instance's `__dict__` is written directly: Keras tracks what is set as an attribute, and nothing about the
    layer may have changed afterwards.
    """
    verb = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
    own, call = vars(layer).get(verb), getattr(layer, verb)

    def observed(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        return recorder.observe(path, layer, output, (args, kwargs)) if threading.get_ident() == thread else output

    vars(layer)[verb] = observed
    try:
        yield
    finally:
        if own is None:
            del vars(layer)[verb]
        else:
            vars(layer)[verb] = own


def _has_axes(output: Any) -> bool:
    """Whether this is one tensor with an axis besides the batch and the channels."""
    return bool(keras.ops.is_tensor(output)) and len(output.shape) > 2


def _shape(output: Any, channels_first: bool) -> tuple[int | None, ...] | None:
    """Return (*space, K) of an output that is one tensor of real numbers; else None."""
    if not keras.ops.is_tensor(output) or "float" not in keras.backend.standardize_dtype(output.dtype):
        return None
    shape = tuple(None if size is None else int(size) for size in output.shape[1:])
    return (*shape[1:], shape[0]) if channels_first else shape
