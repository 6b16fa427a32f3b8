"""Keras networks on TensorFlow.

The network is traced once into a graph, with the tap on one layer, and the graph is kept: for each shape of input,
layer, kind of target and kind of score. In the trace, a gradient tape starts at the tapped output and not before, so
the network up to the layer runs as in any prediction, and only what follows is differentiated, once for each target.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seewhy.errors import LayerError, ModelError, NetworkError, NoGradientError, OptionError
from seewhy.frameworks.base import AUTO, Framework, Head, LayerCall, no_candidate
from seewhy.frameworks.keras import POOLING, layers_by_path, listening
from seewhy.targets import Target
from seewhy.types import Capture, FloatArray, Score, Tensor

MAX_STEPS = 64
"""How many compiled steps one network keeps; beyond that the one unused for longest is dropped."""

INLINE = "Under tf.config.run_functions_eagerly(True) the network's own functions are run in the open."
"""What to do about layers that a tf.function hides."""

FAILURES = (ValueError, TypeError, RuntimeError, tf.errors.OpError)
"""What Keras and TensorFlow raise when a network cannot run on its input."""


@final
class KerasTensorflow(Framework):
    """A Keras network on TensorFlow."""

    name = "keras-tensorflow"
    xp = keras.ops

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._layers = layers_by_path(network)
        self._steps: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: Any) -> str | None:
        return next((path for path, known in self._layers.items() if known is layer), None)

    def input_shape(self) -> tuple[int | None, ...] | None:
        return getattr(self._network, "input_shape", None)

    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        return np.asarray(tensor)

    def calls(self, inputs: FloatArray) -> tuple[LayerCall, ...]:
        calls: tuple[LayerCall, ...] = self._step(("calls", inputs.shape[1:]), lambda: self._trace_calls(inputs.shape))
        return calls

    def predict(self, inputs: FloatArray) -> Tensor | None:
        step = self._step(("predict", inputs.shape[1:]), lambda: self._trace_predict(inputs.shape))
        return self._run(step, inputs)

    def capture(self, inputs: FloatArray, layer: str, target: Target, score: Score) -> Capture:
        key = (inputs.shape[1:], layer, target.key, score)
        step = self._step(key, lambda: self._trace_capture(inputs, layer, target, score))
        target.check_classes(step.classes)
        captured = self._run(step.function, inputs, *target.arrays(len(inputs)))
        return Capture(**captured, layer=step.layer, xp=self.xp)

    def _step(self, key: Hashable, trace: Callable[[], Any]) -> Any:
        """Return what was kept under `key`, traced if it is new. Different threads may ask at once."""
        with self._lock:
            if key in self._steps:
                self._steps.move_to_end(key)
                return self._steps[key]
        # Not under the lock: a trace takes a second, and other shapes need not wait. Two threads may both trace.
        step = trace()
        with self._lock:
            step = self._steps.setdefault(key, step)
            while len(self._steps) > MAX_STEPS:
                self._steps.popitem(last=False)
        return step

    def _run(self, function: Any, *arrays: Any) -> Any:
        try:
            return function(*(tf.constant(array) for array in arrays))
        except tf.errors.OpError as error:
            raise NetworkError(f"The network failed on an input of shape {arrays[0].shape}: {error.message}") from error

    def _compile(self, function: Callable[..., Any], shape: tuple[int, ...], arrays: tuple[Any, ...] = ()) -> Any:
        """Trace `function` for inputs of this shape and any batch size, and `arrays` of any first two sizes."""
        specs = [tf.TensorSpec((None, *shape[1:]), tf.float32)]
        specs += [tf.TensorSpec((None, None, *array.shape[2:]), array.dtype) for array in arrays]
        return tf.function(function, autograph=False).get_concrete_function(*specs)

    def _forward(self, inputs: Tensor) -> Tensor:
        try:
            return self._network(inputs, training=False)
        except FAILURES as error:
            raise NetworkError(
                f"The network cannot run on an input of shape {inputs.shape}: {_plain(error)}"
            ) from error

    def _trace_calls(self, shape: tuple[int, ...]) -> tuple[LayerCall, ...]:
        ear = _Ear()

        def listen(inputs: Tensor) -> None:
            with listening(self._layers, ear.hear):
                self._forward(inputs)

        self._compile(listen, shape)
        return tuple(ear.calls)

    def _trace_predict(self, shape: tuple[int, ...]) -> Any:
        return self._compile(lambda inputs: _read(self._forward(inputs)).probabilities, shape)

    def _trace_capture(self, inputs: FloatArray, layer: str, target: Target, score: Score) -> "_Step":
        tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        tap = _Tap(layer, tape)
        layers = self._layers if layer == AUTO else {layer: self._layers[layer]}
        facts: dict[str, Any] = {}

        def step(batch: Tensor, *arrays: Tensor) -> dict[str, Tensor]:
            with tape, listening(layers, tap.hear):
                outputs = _read(self._forward(batch))
                tap.check()
                target.check_classes(outputs.classes)
                answer = target(outputs.asked(score), arrays, self.xp)
                # The images of a batch do not meet, so the sum's gradient is each image's own.
                totals = tf.reduce_sum(tf.cast(answer.scores, tf.float32), axis=0)
            gradients = _gradients(tape, totals, tap)
            facts.update(layer=tap.path, classes=outputs.classes)
            return {
                "activations": tf.cast(tap.output, tf.float32),
                "gradients": tf.cast(keras.ops.swapaxes(gradients, 0, 1), tf.float32),  # (T, N, ...) to (N, T, ...)
                "scores": answer.scores,
                "indices": answer.indices,
                "outputs": outputs.raw,
                "probabilities": outputs.probabilities,
            }

        function = self._compile(step, inputs.shape, target.arrays(len(inputs)))
        return _Step(function, **facts)


def _plain(error: Exception) -> str:
    """Return a message without the terminal colours that Keras puts into it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))


class _Step(NamedTuple):
    """A compiled step, and what was learned while it was traced."""

    function: Any
    layer: str
    classes: int | None


class _Ear:
    """Notes every call of every layer."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._outputs: set[int] = set()
        self._kept: list[Any] = []  # alive, so that no two outputs share an id

    def hear(self, path: str, layer: Any, output: Any) -> None:
        self.note(path, layer, output)

    def note(self, path: str, layer: Any, output: Any) -> LayerCall:
        is_tensor = tf.is_tensor(output) and output.shape.rank is not None and output.dtype.is_floating
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=tuple(output.shape[1:]) if is_tensor else None,
            is_pooling=isinstance(layer, POOLING),
            is_handed_on=id(output) in self._outputs,
        )
        self._outputs.add(id(output))
        self._kept.append(output)
        self.calls.append(call)
        return call


class _Tap(_Ear):
    """Makes one layer's output the only thing that is differentiated.

    The tape starts anew at every output that could be the one. When the network has run, it holds what followed the
    last of them, and nothing from before.
    """

    def __init__(self, layer: str, tape: tf.GradientTape) -> None:
        super().__init__()
        self.layer = layer
        self.path = layer
        self.output: Tensor | None = None
        self._tape = tape
        self._graph = None

    def hear(self, path: str, layer: Any, output: Any) -> None:
        call = self.note(path, layer, output)
        if call.is_candidate if self.layer == AUTO else call.has_space:
            self.path, self.output = path, output
            self._tape.reset()
            self._tape.watch(output)

    def check(self) -> None:
        """Raise LayerError unless there is an output to explain."""
        if self.output is None and self.layer == AUTO:
            raise no_candidate(self.calls)
        if self.output is None and not self.calls:
            raise LayerError(
                f"The layer {self.layer!r} is part of the network, but is not called when it runs, or only inside a "
                f"tf.function that TensorFlow has compiled before. {INLINE}"
            )
        if self.output is None:
            raise LayerError(
                f"The layer {self.layer!r} cannot be explained: its output {self.calls[-1].shape or ''} is not one "
                "tensor with more than one position. 'seewhy layers' lists the layers that can."
            )
        if self.output.graph is not tf.compat.v1.get_default_graph():
            raise LayerError(
                f"The layer {self.path!r} runs inside a loop, a branch or a tf.function of the network's own, where "
                f"its output cannot be reached. Give a layer outside of it. {INLINE}"
            )


class _Outputs(NamedTuple):
    """The network's outputs and what stands behind them; `classes` is None where they are not (N, C)."""

    raw: Tensor
    logits: Tensor
    probabilities: Tensor | None
    classes: int | None

    def asked(self, score: Score) -> Tensor:
        """Return what the target is given."""
        if score == "logit":
            return self.logits
        if self.probabilities is None:
            raise OptionError("score='probability' was asked for, and the outputs are not class scores; use 'logit'.")
        return self.probabilities


def _read(raw: Any) -> _Outputs:
    """See through a final softmax or sigmoid."""
    if not tf.is_tensor(raw):
        raise ModelError(
            f"The network returned a {type(raw).__name__}; expected one tensor of outputs. Wrap it in a keras.Model "
            "that returns the one to explain."
        )
    head, logits = _see_through(raw)
    logits = tf.cast(logits, tf.float32)
    if logits.shape.rank != 2:
        return _Outputs(raw, logits, None, None)
    if head == "sigmoid" and logits.shape[1] == 1:
        logits = tf.concat([-logits, logits], axis=1)  # one unit, two classes
    if head == "sigmoid":
        probabilities = tf.sigmoid(logits)
    else:
        probabilities = tf.nn.softmax(logits) if head == "softmax" or logits.shape[1] > 1 else None
    return _Outputs(raw, logits, probabilities, logits.shape[1])


ORDER_KEEPING = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "StopGradient"}
"""Operations that leave every value where it was in the order of values."""


def _see_through(raw: Tensor) -> tuple[Head, Tensor]:
    """Find the logits behind the outputs, wherever the final activation was written: an argument, a layer, a function.

    The graph tells: it is the last operation but for those that only relabel values.
    """
    operation = raw.op
    while operation.type in ORDER_KEEPING:
        operation = operation.inputs[0].op
    heads: dict[str, Head] = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
    if operation.type not in heads:
        return "linear", raw
    return heads[operation.type], tf.reshape(operation.inputs[0], tf.shape(raw))


def _gradients(tape: tf.GradientTape, totals: Tensor, tap: _Tap) -> Tensor:
    """Differentiate every total (T,) by the tapped output, giving (T, N, *space, K).

    One pass backwards for each target, in a loop inside the graph, so that T is free and memory is that of one pass.
    """
    output: Any = tap.output

    def backward(seed: Tensor) -> Tensor:
        gradient = tape.gradient(totals, output, output_gradients=seed)
        if gradient is None:
            raise NoGradientError(
                f"No gradient reaches the layer {tap.path!r}: the scores do not depend on it, or something "
                "after it (a rounding, an argmax, stop_gradient) cannot be differentiated. Give a layer that the "
                "outputs are computed from."
            )
        return gradient

    return tf.map_fn(backward, tf.eye(tf.size(totals)), fn_output_signature=output.dtype)
