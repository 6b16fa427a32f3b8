"""The layers of a Keras model, and recording their calls."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, final

import keras

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.keras.call_order import CallOrder, Position
from seewhy.frameworks.keras.layouts import declared_channels_first, inherited_channels_first, tensors
from seewhy.frameworks.keras.operations import graph_operations, is_auxiliary, is_pooling_operation
from seewhy.frameworks.keras.private_api import all_sublayers, is_rematerialized, sublayers
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.recorder import Recorder
from seewhy.threads import ForkSafeLock, this_thread
from seewhy.types import NativeTensor

POOLING = tuple(kind for name, kind in vars(keras.layers).items() if "Pooling" in name and isinstance(kind, type))

HOOK_LOCK = ForkSafeLock()
"""Held while any model is recorded: threads must not install and remove each other's interceptions."""


class KerasRecorder(Recorder):
    """Records every call of every layer.

    Args:
        model: The model that runs.

    Attributes:
        calls: The calls in the order in which they run; `ordered_calls` numbers them.
    """

    def __init__(self, model: Any) -> None:
        self.calls: list[LayerCall] = []
        self.position: Position = ()  # of the call that was recorded last
        self._order = CallOrder(model)
        self._positions: list[Position] = []
        self._sources: list[list[LayerCall | str]] = []
        self._numbers: Counter[str] = Counter()
        self._calls_by_output: dict[int, tuple[Any, LayerCall | str]] = {}

    def name_inputs(self, names: Sequence[str], inputs: Iterable[NativeTensor]) -> None:
        """Record the names of the model's inputs."""
        for name, tensor in zip(names, inputs, strict=True):
            self._calls_by_output[id(tensor)] = (weakref.ref(tensor), name)

    def begin(self, layer: Any) -> None:
        self._order.begin(layer)

    def cancel(self) -> None:
        self._order.end()

    def ordered_calls(self) -> tuple[LayerCall, ...]:
        """Return the calls in the order of `call_order`, numbered in it, and with what they were given."""
        order = sorted(range(len(self.calls)), key=self._positions.__getitem__)
        counts: Counter[str] = Counter()
        names: dict[tuple[str, int], str] = {}
        for index in order:
            call = self.calls[index]
            counts[call.path] += 1
            names[call.path, call.execution] = f"{call.path}#{counts[call.path]}"

        def name_of(source: LayerCall | str) -> str:
            if isinstance(source, str):
                return source
            return names[source.path, source.execution] if counts[source.path] > 1 else source.path

        return tuple(
            replace(
                self.calls[index],
                number=int(names[self.calls[index].path, self.calls[index].execution].rpartition("#")[2]),
                given=tuple(map(name_of, self._sources[index])),
            )
            for index in order
        )

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and return its output unchanged."""
        self.add_call(path, layer, output, arguments)
        return output

    def add_call(self, path: str, layer: Any, output: Any, arguments: Any) -> LayerCall:
        """Record a call, and return its record."""
        self._numbers[path] += 1
        self.position = self._order.end()
        self._positions.append(self.position)
        sources = [self._source_of(tensor) for tensor in tensors(arguments)]
        self._sources.append([source for source in sources if source is not None])
        channels_first = _has_spatial_axes(output) and self._is_channels_first(path, layer, output, arguments)
        obstacle = self.obstacle_to(output)
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=None if obstacle else _shape(output, channels_first),
            is_pooling=isinstance(layer, POOLING) or is_pooling_operation(layer),
            is_pass_through=self._call_of(output) is not None,
            number=self._numbers[path],
            execution=self._numbers[path],
            channels_first=channels_first,
            is_split=isinstance(layer, keras.layers.EinsumDense) and _gains_axis(output, arguments),
            is_auxiliary=_has_spatial_axes(output) and is_auxiliary(layer, 1 if channels_first else -1),
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
        source = self._source_of(tensor)
        return source if isinstance(source, LayerCall) else None

    def _source_of(self, tensor: Any) -> LayerCall | str | None:
        """Return the call that returned a tensor, or the name of the model's input that it is; None if neither."""
        reference, source = self._calls_by_output.get(id(tensor), (None, None))
        return source if reference is not None and reference() is tensor else None  # Python reuses ids

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
            is_first = keras.config.image_data_format() == "channels_first"
            return inherited_channels_first(layer, is_first, len(output.shape))
        return inherited_channels_first(layer, source.channels_first, len(output.shape))


def structure(model: Any) -> list[Any]:
    """Return every layer with what a compiled function depends on, quicker than `layers_by_path`.

    That is its activation, because setting it to linear is a common way to remove a softmax, and its types.
    """
    return [(layer, vars(layer).get("activation"), layer.dtype_policy) for layer in all_sublayers(model)]


def layers_by_path(model: Any) -> dict[str, Any]:
    """Return all layers, and the operations of functional models, by path, outer before inner.

    They are in the order in which they were added, or in which a functional model runs them. A layer that occurs twice
    has its first path. A name that occurs twice in one parent gets a number: "conv[1]".
    """
    layers: dict[str, Any] = {}
    seen = {id(model)}

    def walk(parent: Any, prefix: str) -> None:
        for layer in (*graph_operations(parent), *(sublayers(parent) if isinstance(parent, keras.Layer) else ())):
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


def rematerialized_operations(layers: Iterable[Any]) -> list[Any]:
    """Return the layers that are rematerialized, and such operations of the functional models among the layers."""
    operations = {id(layer): layer for layer in layers}
    for layer in list(operations.values()):
        operations.update((id(operation), operation) for operation in graph_operations(layer))
    return [operation for operation in operations.values() if is_rematerialized(operation)]


@contextmanager
def recording_calls(
    layers: Mapping[str, Any], recorder: Recorder, rematerialized: Iterable[Any] = ()
) -> Iterator[None]:
    """Let a recorder observe the calls of `layers`, by path, in this thread and while this is open.

    The model continues with the output that `Recorder.record` returns. In this thread the layers and operations in
    `rematerialized` run plainly: their derivative would run them once more, and not depend on what was recorded in
    them.
    """
    thread = this_thread()
    with HOOK_LOCK.lock:
        intercepted: list[_Interception] = [
            _InterceptedCall(layer, path, recorder, thread) for path, layer in layers.items()
        ]
        intercepted += [_PlainCall(operation, thread) for operation in rematerialized]

        def restore() -> None:
            for call in intercepted:
                call.restore()

        with restoring(restore):
            for call in intercepted:
                call.install()
            yield


class _Interception:
    """Replaces a method of one layer object, and restores it.

    This writes to the instance's `__dict__`: Keras tracks attributes when they are set, and the layer must be unchanged
    afterwards.
    """

    def __init__(self, layer: Any, method: str, replacement: Callable[..., Any]) -> None:
        self._attributes, self._method, self._replacement = vars(layer), method, replacement
        self._own = self._attributes.get(method)

    def install(self) -> None:
        self._attributes[self._method] = self._replacement

    def restore(self) -> None:
        if self._own is not None:
            self._attributes[self._method] = self._own
        else:
            self._attributes.pop(self._method, None)


@final
class _InterceptedCall(_Interception):
    """Replaces the `call` of a layer by an observed one."""

    def __init__(self, layer: Any, path: str, recorder: Recorder, thread: object) -> None:
        method = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
        call = getattr(layer, method)

        def observed(*args: Any, **kwargs: Any) -> Any:
            if this_thread() is not thread:
                return call(*args, **kwargs)
            recorder.begin(layer)
            try:
                output = call(*args, **kwargs)
            except BaseException:
                recorder.cancel()
                raise
            return recorder.observe(path, layer, output, (args, kwargs))

        super().__init__(layer, method, observed)


@final
class _PlainCall(_Interception):
    """Lets a layer, or an operation of `keras.ops`, run plainly that is rematerialized elsewhere."""

    def __init__(self, operation: Any, thread: object) -> None:
        rematerialized_call = operation.rematerialized_call

        def plain(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return call if this_thread() is thread else rematerialized_call(call, *args, **kwargs)

        super().__init__(operation, "rematerialized_call", plain)


def _has_spatial_axes(output: Any) -> bool:
    """Whether the output is one tensor with axes besides the batch and the channels."""
    return bool(keras.ops.is_tensor(output)) and len(output.shape) > 2


def _gains_axis(output: Any, arguments: Any) -> bool:
    """Whether the output has more axes than every argument."""
    return all(len(output.shape) > len(tensor.shape) for tensor in tensors(arguments))


def _shape(output: Any, channels_first: bool) -> tuple[int | None, ...] | None:
    """Return (*space, K) for an output that is one floating-point tensor; None for any other."""
    if not keras.ops.is_tensor(output) or "float" not in keras.backend.standardize_dtype(output.dtype):
        return None
    shape = tuple(None if size is None else int(size) for size in output.shape[1:])
    return (*shape[1:], shape[0]) if channels_first else shape
