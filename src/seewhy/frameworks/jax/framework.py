"""Keras models on JAX.

The model is traced once for each shape of input, with a mark at every layer's output. Captures are compiled from the
trace, split at the tapped layer: the trunk runs as in any prediction, and only the head is differentiated, once for
each target.
"""

import itertools
import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, final

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from seewhy import timing
from seewhy.frameworks.base import CaptureType, Head
from seewhy.frameworks.compiled import CompiledCache, CompiledCapture, CompiledHead, timed_first_call
from seewhy.frameworks.device import Device
from seewhy.frameworks.exported_graph import ExportedGraph, translated_export
from seewhy.frameworks.jax.attention import TracedAttention, compile_attention, trace_attention
from seewhy.frameworks.jax.compile_capture import compile_capture, compile_head
from seewhy.frameworks.jax.device import move_variables
from seewhy.frameworks.jax.logits import hidden_activations
from seewhy.frameworks.jax.onnx import export
from seewhy.frameworks.jax.precision import in_bfloat16
from seewhy.frameworks.jax.stem import find_stem_inputs
from seewhy.frameworks.jax.tap import Marker, OutputStructure, TracedModel, mark_name
from seewhy.frameworks.jax.trunk_and_head import MARK, as_function, inline, tapped_variable, trace
from seewhy.frameworks.keras.attention_capture import CompiledAttention, run_attention
from seewhy.frameworks.keras.exported_outputs import ExportedOutputs, with_leaves
from seewhy.frameworks.keras.framework import KerasFramework, plain_message
from seewhy.frameworks.keras.numpy_methods import apply_in_numpy, runs_in_numpy
from seewhy.frameworks.keras.restore import preserve_keras_state
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped, no_attention
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.stem import StemInput, StemValues
from seewhy.frameworks.structures import InputBatch, image_count, leaves, map_tree, model_run_error, shape_key
from seewhy.targets import Objective, TopK
from seewhy.timing import Phase
from seewhy.types import AttentionCapture, Capture, Derivatives, GradientRule, NativeTensor, Precision

FAILURES = (ValueError, TypeError, RuntimeError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""The exceptions of Keras and JAX for a model that cannot run on its input."""


@final
class KerasJax(KerasFramework):
    """A Keras model on JAX."""

    name = "keras-jax"
    compiles_batch_size = True

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        self._compiled = CompiledCache()
        self._applied_methods: set[Any] = set()
        self._weights: list[Any] = []
        self._weights_number = 0

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        return np.asarray(tensor)

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._traced(inputs).calls

    def move_to(self, device: Device) -> None:
        move_variables(self._model, device)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NativeTensor | None:
        traced = self._traced(inputs)
        key = ("predict", self._exact_key(inputs), output)
        return self._run(self._compiled.get(key, lambda: self._compile_predict(traced, output)), traced, inputs)

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        self._model_layers.for_run().check(layer)
        traced, arrays = self._traced(inputs), objective.target.arrays(image_count(inputs))
        compiled: CompiledCapture = self._compiled.get(
            (
                self._exact_key(inputs),
                shape_key(list(arrays), with_batch=True),
                layer,
                objective.key,
                derivatives,
                gradient_rule,
            ),
            lambda: compile_capture(
                traced,
                self._call(traced, inputs, layer),
                layer,
                objective,
                derivatives,
                gradient_rule,
                lambda: translated_errors(inputs, FAILURES, None, _message),
            ),
        )
        objective.target.check_outputs(compiled.shape)
        return compiled.capture(
            lambda scales: self._run(compiled.function, traced, inputs, *scales, *arrays),
            self.xp,
            self.to_numpy,
            jnp.asarray,
        )

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        images = image_count(inputs)
        arrays = objective.target.arrays(images)
        attention = self._attention(inputs)
        if not attention.layouts:
            raise no_attention(attention.obstacle)
        compiled: CompiledAttention = self._compiled.get(
            (
                "attention capture",
                self._exact_key(inputs),
                shape_key(list(arrays), with_batch=True),
                objective.key,
                derivatives,
            ),
            lambda: compile_attention(
                attention, objective, derivatives, lambda: translated_errors(inputs, FAILURES, None, _message)
            ),
        )
        objective.target.check_outputs(compiled.shape)
        return run_attention(
            compiled,
            lambda scales: self._run(compiled.function, attention.traced, inputs, *scales, *arrays),
            images,
            self.to_numpy,
            jnp.asarray,
        )

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        return () if self._is_free_of_attention else self._attention(inputs).shapes

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        return () if self._is_free_of_attention else self._attention(inputs).links

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        self._model_layers.for_run().check(layer)
        traced, objective = self._traced(inputs), objective.for_image(0)
        compiled: CompiledHead = self._compiled.get(
            ("head", self._exact_key(inputs), layer, objective.key),
            lambda: compile_head(traced, self._call(traced, inputs, layer), objective),
        )
        objective.target.check_outputs(compiled.shape)
        bypass = self._run(compiled.trunk, traced, inputs)

        def scores(perturbations: NDArray[Any]) -> NativeTensor:
            perturbations = layer_layout(compiled.call, perturbations)
            try:
                return compiled.head(perturbations, bypass, objective.target.arrays(len(perturbations)))
            except jax.errors.JaxRuntimeError as error:
                raise model_run_error(inputs, error) from error

        return scores

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]]:
        traced = self._traced(inputs)
        found = traced.carriers(traced.select_outputs(objective))
        names = {
            equation.params["name"]
            for equation in traced.jaxpr.jaxpr.eqns
            if equation.primitive.name == MARK and not found.isdisjoint(equation.outvars)
        }
        return frozenset((call.path, call.execution) for call in traced.calls if mark_name(call) in names)

    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        traced = self._traced(inputs)
        names, found = {mark_name(call): (call.path, call.execution) for call in traced.calls}, traced.origins()
        return {names[mark]: leaves for mark, leaves in found.items() if mark in names}

    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        size, found = self.image_size(inputs, leaf), self._stem(self._traced(inputs), inputs, layer, leaf)
        return any(stem.is_moved(size) for stem in found)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        traced = self._traced(inputs)
        found = self._stem(traced, inputs, layer, leaf)
        function = as_function(traced.jaxpr, [stem.tensor for stem in found])
        tensors = self._run(jax.jit(lambda flat: function(*flat)), traced, inputs)  # only what is returned is computed
        return [
            StemValues(np.moveaxis(np.asarray(tensor, dtype=np.float32), stem.axes, (1, 2)), stem.window)
            for tensor, stem in zip(tensors, found, strict=True)
        ]

    def weights_version(self) -> Hashable:
        arrays = [variable.value for variable in self._model.variables]
        self._weights, old = arrays, self._weights  # kept, so that no other array gets the id of one of them
        same = len(old) == len(arrays) and all(map(operator.is_, old, arrays))
        self._weights_number += not same
        return (self._model_layers.for_run().version, self._weights_number)

    def export_onnx(self, inputs: InputBatch) -> ExportedGraph:
        recorders: list[ExportedOutputs] = []

        def forward(*tensors: NativeTensor) -> list[NativeTensor]:
            recorders.append(recorder := ExportedOutputs(self._model))
            batch = with_leaves(inputs, iter(tensors))
            recorder.name_inputs(self.input_names(batch), leaves(batch))
            with self._recording(self._layers, recorder), preserve_keras_state(self._model):
                return recorder.flatten(self._model(batch, training=False))

        with translated_export((*FAILURES, jax.errors.InconclusiveDimensionOperation), _message):
            content, names = export(forward, leaves(inputs), self.batch_size)
        return recorders[-1].graph(content, names)

    def apply(self, method: Callable[[CaptureType], NativeTensor], capture: CaptureType) -> NativeTensor:
        if isinstance(capture, AttentionCapture):
            return self._apply_to_maps(method, capture)
        activations: NativeTensor = capture.activations
        if runs_in_numpy(method, capture) and {device.platform for device in activations.devices()} == {"cpu"}:
            return apply_in_numpy(method, capture, self.to_numpy)
        # JAX runs a method operation by operation, and compiles every operation at its first use.
        key = (getattr(method, "name", method), capture.activations.shape, capture.scores.shape)
        if key in self._applied_methods:
            return method(capture)
        with timing.phase(Phase.COMPILING):
            heatmaps = method(capture)
        self._applied_methods.add(key)
        return heatmaps

    def _apply_to_maps(self, method: Callable[[Any], NativeTensor], capture: AttentionCapture) -> NativeTensor:
        """Compute heatmaps in one compiled function: operation by operation, many maps take as long as the model."""
        arrays = {name: getattr(capture, name) for name in ("maps", "gradients", "scores", "reads")}
        unread: dict[str, Any] = dict.fromkeys((*arrays, "indices", "outputs", "probabilities"))
        rest = replace(capture, **unread)
        compiled = self._compiled.get(
            ("method", method), lambda: timed_first_call(jax.jit(lambda arrays: method(replace(rest, **arrays))))
        )
        return compiled(arrays)

    def _call(self, traced: TracedModel, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        if layer.is_input:
            return self._input_call(inputs, layer)
        return check_tapped(layer, traced.calls)

    def _stem(self, traced: TracedModel, inputs: InputBatch, layer: LayerChoice, leaf: int) -> list[StemInput]:
        call = self._call(traced, inputs, layer)
        jaxpr = traced.jaxpr.jaxpr
        image, tapped = (
            tapped_variable(jaxpr, traced.input_position(leaf)),
            tapped_variable(jaxpr, traced.position(call)),
        )
        return find_stem_inputs(jaxpr, image, tapped, call)

    def _run(self, function: Callable[..., Any], traced: TracedModel, inputs: InputBatch, *arrays: Any) -> Any:
        try:
            return function(traced.flat(inputs), *arrays)
        except jax.errors.JaxRuntimeError as error:
            raise model_run_error(inputs, error) from error

    def _exact_key(self, inputs: InputBatch) -> Hashable:
        """Return a key for what is compiled for these layers and inputs of exactly this shape."""
        return (self._model_layers.for_run().version, shape_key(inputs, with_batch=True))

    def _traced(self, inputs: InputBatch) -> TracedModel:
        traced: TracedModel = self._compiled.get(("trace", self._exact_key(inputs)), lambda: self._trace(inputs))
        return traced

    def _attention(self, inputs: InputBatch) -> TracedAttention:
        key = ("attention", self._exact_key(inputs))
        attention: TracedAttention = self._compiled.get(key, lambda: self._trace_attention(inputs))
        return attention

    def _trace_attention(self, inputs: InputBatch) -> TracedAttention:
        images = image_count(inputs)

        def trace_other() -> TracedModel | None:
            """Trace the model for another number of images, or return None if it takes one number only."""
            if self.batch_size is not None:
                return None
            other = 1 if images > 1 else 2
            return self._traced(map_tree(lambda array: np.resize(array, (other, *array.shape[1:])), inputs))

        return trace_attention(self._traced(inputs), images, trace_other)

    def _trace(self, inputs: InputBatch) -> TracedModel:
        variables, marker, outputs = self._model.variables, Marker(self._model), OutputStructure()

        def forward(values: list[NativeTensor], batch: InputBatch) -> list[NativeTensor]:
            # The values are arguments and not constants of the trace, so that later training takes effect.
            marker.name_inputs(self.input_names(batch), leaves(batch))
            state = keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))
            layers = self._layers
            self._model_layers.run()
            with self._recording(layers, marker), preserve_keras_state(self._model), state:
                return outputs.flatten(self._model(batch, training=False))

        with translated_errors(inputs, FAILURES, marker, _message):
            jaxpr = trace(forward, [variable.value for variable in variables], inputs)
        while hidden := hidden_activations(jaxpr.jaxpr):
            jaxpr = inline(jaxpr, hidden)
        jaxpr = in_bfloat16(jaxpr) if self._precision == "bfloat16" else jaxpr
        numbers = itertools.count()
        order = jax.tree.leaves(map_tree(lambda _: next(numbers), inputs))  # JAX sorts the keys of dicts
        return TracedModel(jaxpr, variables, marker.ordered_calls(), marker.shapes, outputs.structure, tuple(order))

    def _compile_predict(self, traced: TracedModel, output: int | str | None) -> Callable[..., Any]:
        selected = traced.select_outputs(Objective(TopK(), output=output))
        function = as_function(traced.jaxpr, selected.tensors)
        return timed_first_call(jax.jit(lambda flat: selected.read(function(*flat)).probabilities))


def _message(error: Exception) -> str:
    return _untraceable_message(error) or plain_message(error)


def _untraceable_message(error: BaseException | None) -> str | None:
    """Return the message for a model whose Python code reads values that a trace does not have; None for other errors.

    Keras rewrites the errors of a layer, and raises an AttributeError for those that JAX builds from a tracer.
    """
    while error is not None:
        if isinstance(error, (jax.errors.JAXTypeError, jax.errors.JAXIndexError)):
            return f"its Python code reads the values of a tensor, which JAX cannot trace: {error}"
        error = error.__cause__ or error.__context__
    return None
