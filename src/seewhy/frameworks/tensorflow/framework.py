"""Keras models on TensorFlow.

The model is traced once into a graph, with the tap on one layer, and the graph is kept: for each shape of input,
layer, kind of target and kind of score. In the trace, a gradient tape starts at the tapped output and not before, so
the model up to the layer runs as in any prediction, and only what follows is differentiated, once for each target.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seewhy.errors import LayerError, ModelError
from seewhy.frameworks.base import FinalActivation, Head, Outputs
from seewhy.frameworks.compiled import CompiledCache, timed_first_call
from seewhy.frameworks.guided import GUIDED
from seewhy.frameworks.keras.framework import CallRecorder, KerasFramework, plain, preserve_keras_state, recording_calls
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped, no_gradient
from seewhy.frameworks.outputs import SelectedOutputs, select_outputs
from seewhy.frameworks.structures import (
    Inputs,
    image_count,
    is_our_own,
    leaves,
    map_leaves,
    model_run_error,
    shape_key,
)
from seewhy.frameworks.tensorflow.graph import split
from seewhy.frameworks.tensorflow.guided import check_activations, guided_relus
from seewhy.frameworks.tensorflow.pooling import only_mean, products
from seewhy.frameworks.tensorflow.precision import check_bfloat16, compiled
from seewhy.targets import Objective, TopK
from seewhy.targets.target import Shape
from seewhy.types import Backward, Capture, Precision, Tensor

INLINE = (
    " Layers inside a tf.function of the model's own cannot be reached; under "
    "tf.config.run_functions_eagerly(True) it is run in the open."
)
"""What to do about layers that a tf.function hides."""

FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""Operations that run a tf.function."""

FAILURES = (ValueError, TypeError, RuntimeError, LookupError, AttributeError, ArithmeticError, tf.errors.OpError)
"""What Keras and TensorFlow raise when a model cannot run on its input."""


@final
class KerasTensorflow(KerasFramework):
    """A Keras model on TensorFlow."""

    name = "keras-tensorflow"

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        if precision == "bfloat16":
            check_bfloat16()
        self._compiled = CompiledCache()

    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        return np.asarray(tensor)

    def calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        found: tuple[LayerCall, ...] = self._compiled.get(
            ("calls", shape_key(inputs)), lambda: self._trace_calls(inputs)
        )
        return found

    def predict(self, inputs: Inputs, output: int | str | None = None) -> Tensor | None:
        key = ("predict", shape_key(inputs), output)
        return self._run(self._compiled.get(key, lambda: self._trace_predict(inputs, output)), inputs)

    def capture(
        self, inputs: Inputs, layer: LayerChoice, objective: Objective, backward: Backward = "plain"
    ) -> Capture:
        key = (shape_key(inputs), layer, objective.key, backward)
        step = self._compiled.get(key, lambda: self._trace_capture(inputs, layer, objective, backward))
        objective.target.check_outputs(step.shape)
        captured = self._run(step.function, inputs, *objective.target.arrays(image_count(inputs)))
        return Capture(**{"gradients": None} | captured, layer=step.layer, xp=self.xp)

    def head(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> Head:
        objective = objective.for_image(0)
        key = ("head", shape_key(inputs), layer, objective.key)
        step = self._compiled.get(key, lambda: self._trace_branch(inputs, layer, objective))
        objective.target.check_outputs(step.shape)
        passing = self._run(step.trunk, inputs)

        def scores(perturbations: NDArray[Any]) -> Tensor:
            arrays = objective.target.arrays(len(perturbations))
            try:
                return step.head(
                    tf.constant(self._laid_out(step.call, perturbations)), passing, *map(tf.constant, arrays)
                )
            except tf.errors.OpError as error:
                raise model_run_error(inputs, error.message) from error

        return scores

    def _run(self, function: Any, inputs: Inputs, *arrays: Any) -> Any:
        try:
            return function(map_leaves(tf.constant, inputs), *map(tf.constant, arrays))
        except tf.errors.OpError as error:
            raise model_run_error(inputs, error.message) from error

    def _compile(self, function: Callable[..., Any], inputs: Inputs, arrays: tuple[Any, ...] = ()) -> Any:
        """Trace `function` for inputs of these shapes and any batch size, and `arrays` of any first two sizes."""
        batch = map_leaves(lambda each: tf.TensorSpec((None, *each.shape[1:]), tf.float32), inputs)
        specs = [tf.TensorSpec((None, None, *array.shape[2:]), array.dtype) for array in arrays]
        # TensorFlow optimizes the graph when it is first run.
        return timed_first_call(compiled(function, (batch, *specs), self._precision))

    def _forward(self, inputs: Inputs) -> Any:
        try:
            with preserve_keras_state(self._model):
                return self._model(inputs, training=False)
        except FAILURES as error:
            if is_our_own(error):
                raise
            raise model_run_error(inputs, plain(error)) from error

    def _trace_calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        recorder = CallRecorder()

        def listen(batch: Inputs) -> None:
            with recording_calls(self._layers, recorder.record):
                self._forward(batch)

        self._compile(listen, inputs)
        return tuple(recorder.calls)

    def _trace_predict(self, inputs: Inputs, output: int | str | None) -> Any:
        def probabilities(batch: Inputs) -> Tensor | None:
            selected = _ask(self._forward(batch), Objective(TopK(), output=output))
            return selected.read(selected.tensors).probabilities

        return self._compile(probabilities, inputs)

    def _trace_capture(
        self, inputs: Inputs, layer: LayerChoice, objective: Objective, backward: Backward
    ) -> "_CompiledCapture":
        tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        tap = _Tap(layer, tape)
        facts: dict[str, Any] = {}

        def step(batch: Inputs, *arrays: Tensor) -> dict[str, Tensor]:
            # To all layers, whichever is meant: how it lays its output out may have been said by one before it.
            with tape, recording_calls(self._layers, tap.record):
                if layer.is_input:
                    tap.take(self._input_call, batch)
                with guided_relus(backward):
                    raw = self._forward(batch)
                tap.check()
                selected = _ask(raw, objective)
                mean = only_mean(tap.output, tap.space, selected.tensors)
                if backward in GUIDED:
                    check_activations(tap.output, selected.one_logits, self._layers, backward)
                outputs = selected.read(selected.tensors)
                answer = outputs.answer(objective, arrays, self.xp)
                # The images of a batch do not meet, so the sum's gradient is each image's own.
                totals = tf.reduce_sum(tf.cast(answer.scores, tf.float32), axis=0)
            facts.update(layer=layer.named(tap.call), shape=outputs.shape)
            captured = {
                "activations": self._channels_last(tap.call, tf.cast(tap.output, tf.float32)),
                "scores": tf.cast(answer.scores, tf.float32),
                "indices": answer.indices,
                "outputs": outputs.raw,
                "probabilities": outputs.probabilities,
            }
            if backward == "products":
                if mean is not None:
                    captured["products"] = products(captured["scores"], mean, captured["activations"])
            elif backward != "none":
                gradients = tf.cast(_gradients(tape, totals, tap, backward, is_small=mean is not None), tf.float32)
                captured["gradients"] = self._targets_second(tap.call, gradients)
            return captured

        function = self._compile(step, inputs, objective.target.arrays(image_count(inputs)))
        return _CompiledCapture(function, **facts)

    def _trace_branch(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> "_CompiledHead":
        tap = _Tap(layer)
        facts: dict[str, Any] = {}

        def forward(batch: Inputs) -> None:
            with recording_calls(self._layers, tap.record):
                if layer.is_input:
                    tap.take(self._input_call, batch)
                raw = self._forward(batch)
            tap.check()
            selected = _ask(raw, objective)
            shape = selected.read(selected.tensors).shape
            objective.target.check_outputs(shape)
            facts.update(batch=leaves(batch), selected=selected, shape=shape)

        image = map_leaves(lambda each: tf.TensorSpec(each.shape, tf.float32), inputs)
        graph = tf.compat.v1.wrap_function(forward, [image])
        selected = facts["selected"]
        trunk, follow, passing = split(graph, facts["batch"], tap.output, selected.tensors)

        def scores(perturbations: Tensor, passing: list[Tensor], *arrays: Tensor) -> Tensor:
            # Every perturbation is an image of its own, (M, 1, ...), as what passes by is one image's.
            perturbations = tf.cast(perturbations, tap.output.dtype)
            many = tf.vectorized_map(lambda each: follow(each[None], *passing), perturbations)
            outputs = selected.read([tf.squeeze(each, 1) for each in many])
            return tf.cast(outputs.answer(objective, arrays, self.xp).scores, tf.float32)

        arrays = [tf.TensorSpec((None, None, *each.shape[2:]), each.dtype) for each in objective.target.arrays(1)]
        varied = tf.TensorSpec((None, *tap.output.shape[1:]), tf.float32)
        head = compiled(scores, (varied, passing, *arrays), self._precision)
        trunk_of = compiled(lambda batch: trunk(*leaves(batch)), (image,), self._precision)
        return _CompiledHead(timed_first_call(trunk_of), timed_first_call(head), tap.call, facts["shape"])


class _CompiledCapture(NamedTuple):
    """A compiled step, and what was learned while it was traced."""

    function: Any
    layer: str
    shape: Shape | None


class _CompiledHead(NamedTuple):
    """What makes what passes by the layer, and what follows it, compiled; and what was learned while it was traced."""

    trunk: Any
    head: Any
    call: LayerCall
    shape: Shape | None


class _Tap(CallRecorder):
    """Finds one layer's output, and makes it the only thing that is differentiated, if there is a tape.

    The tape starts anew at every output that could be the one. When the model has run, it holds what followed the
    last of them, and nothing from before.
    """

    def __init__(self, layer: LayerChoice, tape: tf.GradientTape | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.path = layer.path
        self.call: Any = None
        self.output: Any = None
        self._tape = tape

    def record(self, path: str, layer: Any, output: Any, given: Any) -> Any:
        call = self.note(path, layer, output, given)
        if self.layer.admits(call):
            self.take(call, output)
        return output

    @property
    def space(self) -> range:
        """The output's axes of space."""
        rank = len(self.output.shape)
        return range(2, rank) if self.call.channels_first else range(1, rank - 1)

    def take(self, call: LayerCall, output: Any) -> None:
        """Start the tape anew at this output."""
        self.path, self.call, self.output = call.path, call, output
        if self._tape is not None:
            self._tape.reset()
            self._tape.watch(output)

    def check(self) -> None:
        """Raise LayerError unless there is an output to explain."""
        if self.layer.is_input:
            return
        check_tapped(self.layer, self.calls, INLINE)
        operations = self.output.graph.get_operations()
        later = operations[operations.index(self.output.op) :]
        if self.layer.is_auto and any(operation.type in FUNCTION_CALLS for operation in later):
            raise LayerError(
                f"layer='auto' cannot tell which layer is the last: after {self.path!r} the model runs a "
                f"tf.function of its own. Name the layer.{INLINE}"
            )
        if self.output.graph is not tf.compat.v1.get_default_graph():
            raise LayerError(
                f"The layer {self.path!r} runs inside a loop, a branch or a tf.function of the model's own, where "
                f"its output cannot be reached. Give a layer outside of it.{INLINE}"
            )


def _ask(whole: Any, objective: Objective) -> SelectedOutputs:
    return select_outputs(whole, objective, tf.is_tensor, _logits, _read)


def _read(raw: Tensor, logits: Tensor, head: FinalActivation, whole: Any) -> Outputs:
    """Read an output and what stands behind it."""
    return Outputs.read(raw, tf.cast(logits, tf.float32), head, keras.ops, whole)


ORDER_KEEPING = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "StopGradient"}
"""Operations that leave every value where it was in the order of values."""


def _logits(raw: Tensor) -> tuple[FinalActivation, Tensor]:
    """Find the logits behind the outputs, wherever the final activation was written: an argument, a layer, a function.

    The graph tells: it is the last operation but for those that only relabel values.
    """
    operation = raw.op
    while operation.type in ORDER_KEEPING:
        operation = operation.inputs[0].op
    heads: dict[str, FinalActivation] = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
    if operation.type in FUNCTION_CALLS:
        raise ModelError(
            "The model's outputs come out of a tf.function of its own, so whether a softmax stands at the end "
            f"cannot be seen.{INLINE}"
        )
    # A softmax over another axis than the classes' has no logits for the classes.
    if operation.type not in heads or operation.inputs[0].shape[-1] != raw.shape[-1]:
        return "linear", raw
    return heads[operation.type], tf.reshape(operation.inputs[0], tf.shape(raw))


def _gradients(tape: tf.GradientTape, totals: Tensor, tap: _Tap, way: Backward, *, is_small: bool) -> Tensor:
    """Differentiate every total (T,) by the tapped output, giving (T, N, ...).

    A small head is gone through once, backwards, with all targets side by side. Else there is one pass for each target,
    in a loop inside the graph, so that memory is that of one pass. T is free in both.
    """

    def backward(seed: Tensor) -> Tensor:
        if way in GUIDED:  # a tape does not ask the operations for the gradients they were given in place of their own
            (gradient,) = tf.gradients(totals, tap.output, grad_ys=seed)
        else:
            gradient = tape.gradient(totals, tap.output, output_gradients=seed)
        if gradient is None:
            raise no_gradient(tap.path)
        return gradient

    seeds = tf.eye(tf.size(totals))
    if is_small:
        return tf.vectorized_map(backward, seeds)
    return tf.map_fn(backward, seeds, fn_output_signature=tap.output.dtype)
