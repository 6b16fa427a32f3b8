"""The layers of a Keras model, and recording their calls."""

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.keras.layouts import declared_channels_first, inherited_channels_first, tensors
from seewhy.frameworks.keras.private_api import all_sublayers, sublayers
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.recorder import Recorder
from seewhy.threads import ForkSafeLock, this_thread
from seewhy.types import NativeTensor

POOLING = tuple(kind for name, kind in vars(keras.layers).items() if "Pooling" in name and isinstance(kind, type))

HOOK_LOCK = ForkSafeLock()
"""Held while any model is recorded: threads must not install and remove each other's interceptions."""


class KerasRecorder(Recorder):
    """Records every call of every layer."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._numbers: Counter[str] = Counter()
        self._calls_by_output: dict[int, tuple[Any, LayerCall]] = {}

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and return its output unchanged."""
        self.add_call(path, layer, output, arguments)
        return output

    def add_call(self, path: str, layer: Any, output: Any, arguments: Any) -> LayerCall:
        """Record a call, and return its record."""
        self._numbers[path] += 1
        channels_first = _has_spatial_axes(output) and self._is_channels_first(path, layer, output, arguments)
        obstacle = self.obstacle_to(output)
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=None if obstacle else _shape(output, channels_first),
            is_pooling=isinstance(layer, POOLING),
            is_pass_through=self._call_of(output) is not None,
            number=self._numbers[path],
            channels_first=channels_first,
            obstacle=obstacle,
        )
        self.add_output(output, call)
        self.calls.append(call)
        return call

    def obstacle_to(self, output: Any) -> str:
        """Return what keeps an output from being reached, for `LayerCall.obstacle`; empty if nothing does."""
        return ""

    def add_output(self, output: Any, call: LayerCall) -> None:
        """Record that a call returned this output, by a weak reference: all outputs together may exceed the memory."""
        if keras.ops.is_tensor(output):
            self._calls_by_output[id(output)] = (weakref.ref(output), call)

    def _call_of(self, tensor: Any) -> LayerCall | None:
        """Return the call that returned a tensor; None if no recorded call did."""
        reference, call = self._calls_by_output.get(id(tensor), (None, None))
        return call if reference is not None and reference() is tensor else None  # Python reuses ids

    def _is_channels_first(self, path: str, layer: Any, output: NativeTensor, arguments: Any) -> bool:
        """Whether a call's output is (N, K, *space), as the layer declares or inherits.

        A layer without a layout of its own inherits that of the output that it passes through, else of the last call
        inside it, else of its inputs. Where none of these is a layer's output, as after an operation that is not a
        layer, it inherits that of the last call.
        """
        declared = declared_channels_first(layer, len(output.shape))
        if declared is not None:
            return declared
        last = next((call for call in reversed(self.calls) if call.shape is not None and len(call.shape) > 1), None)
        inside = last if last is not None and last.path.startswith(path + "/") else None
        input_calls = [self._call_of(tensor) for tensor in tensors(arguments) if _has_spatial_axes(tensor)]
        candidates = (self._call_of(output), inside, *input_calls, last)
        source = next((call for call in candidates if call is not None), None)
        if source is None:
            return inherited_channels_first(layer, keras.config.image_data_format() == "channels_first")
        return inherited_channels_first(layer, source.channels_first)


def structure(model: Any) -> list[Any]:
    """Return every layer with its activation, quicker than `layers_by_path`: what a compiled function depends on.

    The activation too, because setting it to linear is a common way to remove a softmax.
    """
    return [(layer, vars(layer).get("activation")) for layer in all_sublayers(model)]


def layers_by_path(model: Any) -> dict[str, Any]:
    """Return all layers by path, outer before inner, in the order in which they were added.

    A layer that occurs twice has its first path. A name that occurs twice in one parent gets a number: "conv[1]".
    """
    layers: dict[str, Any] = {}
    seen = {id(model)}

    def walk(parent: Any, prefix: str) -> None:
        for layer in sublayers(parent):
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            path, duplicates = prefix + layer.name, 0
            while path in layers:
                duplicates += 1
                path = f"{prefix}{layer.name}[{duplicates}]"
            layers[path] = layer
            walk(layer, path + "/")

    walk(model, "")
    return layers


@contextmanager
def recording_calls(layers: Mapping[str, Any], recorder: Recorder) -> Iterator[None]:
    """Let a recorder observe the calls of `layers`, by path, in this thread and while this is open.

    The model continues with the output that `Recorder.record` returns.
    """
    thread = this_thread()
    with HOOK_LOCK.lock:
        intercepted = [_InterceptedCall(layer, path, recorder, thread) for path, layer in layers.items()]

        def restore() -> None:
            for call in intercepted:
                call.restore()

        with restoring(restore):
            for call in intercepted:
                call.install()
            yield


class _InterceptedCall:
    """Replaces the `call` of one layer object by an observed one, and restores it.

    This writes to the instance's `__dict__`: Keras tracks attributes when they are set, and the layer must be unchanged
    afterwards.
    """

    def __init__(self, layer: Any, path: str, recorder: Recorder, thread: object) -> None:
        self._attributes = vars(layer)
        self._method = method = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
        self._own, call = self._attributes.get(method), getattr(layer, method)

        def observed(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            return recorder.observe(path, layer, output, (args, kwargs)) if this_thread() is thread else output

        self._observed = observed

    def install(self) -> None:
        self._attributes[self._method] = self._observed

    def restore(self) -> None:
        if self._own is not None:
            self._attributes[self._method] = self._own
        else:
            self._attributes.pop(self._method, None)


def _has_spatial_axes(output: Any) -> bool:
    """Whether the output is one tensor with axes besides the batch and the channels."""
    return bool(keras.ops.is_tensor(output)) and len(output.shape) > 2


def _shape(output: Any, channels_first: bool) -> tuple[int | None, ...] | None:
    """Return (*space, K) for an output that is one floating-point tensor; None for any other."""
    if not keras.ops.is_tensor(output) or "float" not in keras.backend.standardize_dtype(output.dtype):
        return None
    shape = tuple(None if size is None else int(size) for size in output.shape[1:])
    return (*shape[1:], shape[0]) if channels_first else shape
