"""Keras models on TensorFlow.

The model is traced once into a graph, with the tap on one layer, and the graph is kept: for each shape of input,
layer, kind of target and kind of score. In the trace, a gradient tape starts at the tapped output and not before, so
the model up to the layer runs as in any prediction, and only what follows is differentiated, once for each target.
"""

from collections.abc import Callable
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seewhy.frameworks.base import Head
from seewhy.frameworks.compiled import CompiledCache, CompiledCapture, CompiledHead, timed_first_call
from seewhy.frameworks.guided import GUIDED
from seewhy.frameworks.keras.calls import KerasRecorder, recording_calls
from seewhy.frameworks.keras.framework import KerasFramework, plain_message
from seewhy.frameworks.keras.restore import preserve_keras_state
from seewhy.frameworks.layers import LayerCall, LayerChoice
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.structures import (
    ArrayTree,
    Inputs,
    image_count,
    leaves,
    map_leaves,
    model_run_error,
    shape_key,
)
from seewhy.frameworks.tensorflow.graph import split
from seewhy.frameworks.tensorflow.guided import check_activations, guided_relus
from seewhy.frameworks.tensorflow.logits import select_tensorflow_outputs
from seewhy.frameworks.tensorflow.pooling import closed_form, pooled_mean
from seewhy.frameworks.tensorflow.precision import check_bfloat16, compiled
from seewhy.frameworks.tensorflow.tap import Tap, gradients
from seewhy.targets import Objective, TopK
from seewhy.types import Capture, Derivatives, GradientRule, Precision, Tensor

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
        self,
        inputs: Inputs,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        kept: CompiledCapture = self._compiled.get(
            (shape_key(inputs), layer, objective.key, derivatives, gradient_rule),
            lambda: self._trace_capture(inputs, layer, objective, derivatives, gradient_rule),
        )
        objective.target.check_outputs(kept.shape)
        captured = self._run(kept.function, inputs, *objective.target.arrays(image_count(inputs)))
        return Capture(**{"gradients": None} | captured, layer=kept.layer, xp=self.xp)

    def head(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> Head:
        objective = objective.for_image(0)
        key = ("head", shape_key(inputs), layer, objective.key)
        kept: CompiledHead = self._compiled.get(key, lambda: self._trace_head(inputs, layer, objective))
        objective.target.check_outputs(kept.shape)
        passing = self._run(kept.trunk, inputs)

        def scores(perturbations: NDArray[Any]) -> Tensor:
            arrays = objective.target.arrays(len(perturbations))
            try:
                laid_out = tf.constant(self._laid_out(kept.call, perturbations))
                return kept.head(laid_out, passing, *map(tf.constant, arrays))
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

    def _forward(self, inputs: Inputs, recorder: KerasRecorder | None = None) -> ArrayTree:
        with translated_errors(inputs, FAILURES, recorder, plain_message), preserve_keras_state(self._model):
            return self._model(inputs, training=False)

    def _trace_calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        recorder = KerasRecorder()

        def forward(batch: Inputs) -> None:
            with recording_calls(self._layers, recorder):
                self._forward(batch, recorder)

        self._compile(forward, inputs)
        return tuple(recorder.calls)

    def _trace_predict(self, inputs: Inputs, output: int | str | None) -> Any:
        def probabilities(batch: Inputs) -> Tensor | None:
            selected = select_tensorflow_outputs(self._forward(batch), Objective(TopK(), output=output))
            return selected.read(selected.tensors).probabilities

        return self._compile(probabilities, inputs)

    def _trace_capture(
        self,
        inputs: Inputs,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives,
        gradient_rule: GradientRule,
    ) -> CompiledCapture:
        facts: dict[str, Any] = {}

        def capture(batch: Inputs, *arrays: Tensor) -> dict[str, Tensor]:
            tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
            tap = Tap(layer, tape)
            # All layers are recorded, whichever is tapped: an earlier one may determine the layout of its output.
            with tape, recording_calls(self._layers, tap):
                if layer.is_input:
                    tap.take(self._input_call, batch)
                with guided_relus(gradient_rule):
                    tree = self._forward(batch, tap)
                tap.check()
                selected = select_tensorflow_outputs(tree, objective)
                mean = pooled_mean(tap.output, tap.space, selected.tensors)
                if derivatives == "gradients" and gradient_rule in GUIDED:
                    check_activations(tap.output, selected.one_logits, self._layers, gradient_rule)
                outputs = selected.read(selected.tensors)
                answer = outputs.score(objective, arrays, self.xp)
                # The images of a batch do not influence each other, so the gradient of the sum is each image's own.
                totals = tf.reduce_sum(tf.cast(answer.scores, tf.float32), axis=0)
            facts.update(layer=layer.named(tap.call), shape=outputs.shape)
            captured = {
                "activations": self._channels_last(tap.call, tf.cast(tap.output, tf.float32)),
                "scores": tf.cast(answer.scores, tf.float32),
                "indices": answer.indices,
                "outputs": outputs.raw,
                "probabilities": outputs.probabilities,
            }
            if derivatives == "closed_form" and mean is not None:
                captured["closed_form"] = closed_form(captured["scores"], mean, captured["activations"])
            if derivatives == "gradients":
                by_layout = gradients(tape, totals, tap, gradient_rule, is_small=mean is not None)
                captured["gradients"] = self._targets_second(tap.call, tf.cast(by_layout, tf.float32))
            return captured

        function = self._compile(capture, inputs, objective.target.arrays(image_count(inputs)))
        return CompiledCapture(function, **facts)

    def _trace_head(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> CompiledHead:
        tap = Tap(layer)
        facts: dict[str, Any] = {}

        def forward(batch: Inputs) -> None:
            with recording_calls(self._layers, tap):
                if layer.is_input:
                    tap.take(self._input_call, batch)
                raw = self._forward(batch, tap)
            tap.check()
            selected = select_tensorflow_outputs(raw, objective)
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
            return tf.cast(outputs.score(objective, arrays, self.xp).scores, tf.float32)

        arrays = [tf.TensorSpec((None, None, *each.shape[2:]), each.dtype) for each in objective.target.arrays(1)]
        varied = tf.TensorSpec((None, *tap.output.shape[1:]), tf.float32)
        head = compiled(scores, (varied, passing, *arrays), self._precision)
        trunk_of = compiled(lambda batch: trunk(*leaves(batch)), (image,), self._precision)
        return CompiledHead(timed_first_call(trunk_of), timed_first_call(head), tap.call, facts["shape"])
