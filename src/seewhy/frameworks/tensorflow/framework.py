"""Keras models on TensorFlow.

The model is traced into a graph with a tap on one layer. The graph is cached by the shape of the inputs, the layer and
the kind of objective. A gradient tape starts at the tapped output, so the trunk runs as in any prediction, and only the
head is differentiated, once for each target.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seewhy.errors import LayerError
from seewhy.frameworks.base import CaptureType, Head
from seewhy.frameworks.compiled import CompiledCache, CompiledCapture, CompiledHead, timed_first_call
from seewhy.frameworks.device import Device
from seewhy.frameworks.exported_graph import ExportedGraph, translated_export
from seewhy.frameworks.keras.attention_capture import CompiledAttention, run_attention
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.keras.exported_outputs import ExportedOutputs, with_leaves
from seewhy.frameworks.keras.framework import KerasFramework, plain_message
from seewhy.frameworks.keras.numpy_methods import apply_in_numpy, runs_in_numpy
from seewhy.frameworks.keras.restore import preserve_keras_state
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import channels_last, layer_layout, targets_second
from seewhy.frameworks.map_layout import MapLayout
from seewhy.frameworks.non_relu import GUIDED_RULES
from seewhy.frameworks.outputs import Outputs
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.stem import StemInput, StemValues
from seewhy.frameworks.structures import (
    ArrayTree,
    InputBatch,
    image_count,
    leaves,
    map_tree,
    model_run_error,
)
from seewhy.frameworks.tensorflow.attention import TracedCalls, map_tensors
from seewhy.frameworks.tensorflow.backward import bytes_of_pass, gradients
from seewhy.frameworks.tensorflow.dense_products import find_dense_products
from seewhy.frameworks.tensorflow.device import show_device
from seewhy.frameworks.tensorflow.direct_call import direct_call
from seewhy.frameworks.tensorflow.guided import check_head_activations, guide_relus
from seewhy.frameworks.tensorflow.logits import FUNCTION_ADVICE, select_tensorflow_outputs
from seewhy.frameworks.tensorflow.mean_head import closed_form, pooled_mean
from seewhy.frameworks.tensorflow.namespace import VECTORIZED, TensorflowNamespace
from seewhy.frameworks.tensorflow.onnx import WeightReader, export
from seewhy.frameworks.tensorflow.precision import check_bfloat16, compiled
from seewhy.frameworks.tensorflow.stem import find_stem_inputs
from seewhy.frameworks.tensorflow.tap import OutputRecorder, TensorflowTap
from seewhy.frameworks.tensorflow.trunk_and_head import (
    carrying_tensors,
    is_bypassed,
    origins_of_tensors,
    over_perturbations,
    split,
)
from seewhy.targets import Objective, TargetScores, TopK
from seewhy.types import (
    AttentionCapture,
    Capture,
    Derivatives,
    GradientRule,
    Namespace,
    NativeTensor,
    Precision,
)

FAILURES = (
    *(ValueError, TypeError, RuntimeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    tf.errors.OpError,
)
"""The exceptions of Keras and TensorFlow for a model that cannot run on its input."""

ON_PROCESSOR = "device:CPU:"
"""What the name of a tensor's device contains where the tensor is in the processor's memory."""

CALL = re.compile(r"\{\{function_node [^{}]*\}\} ?| \[Op:\w+\](?: name: *)?$")
"""How TensorFlow names the call of the traced function in which an operation failed."""

GRAPH_TRACE = ("Graph execution error:", "Detected at node", '  File "')
"""How the lines begin in which TensorFlow tells where an operation of a graph was made."""


@final
class KerasTensorflow(KerasFramework):
    """A Keras model on TensorFlow."""

    name = "keras-tensorflow"
    xp = TensorflowNamespace()

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        if precision == "bfloat16":
            check_bfloat16()
        self._compiled = CompiledCache()

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        return np.asarray(tensor)

    def apply(self, method: Callable[[CaptureType], NativeTensor], capture: CaptureType) -> NativeTensor:
        if isinstance(capture, Capture) and runs_in_numpy(method, capture):
            activations: NativeTensor = capture.activations
            if ON_PROCESSOR in activations.device:
                return apply_in_numpy(method, capture, self.to_numpy)
        return method(capture)

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._traced_calls(inputs).calls

    def move_to(self, device: Device) -> None:
        show_device(device)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NativeTensor | None:
        key = ("predict", self._shape_key(inputs), output)
        return self._run(self._compiled.get(key, lambda: self._trace_predict(inputs, output)), inputs)

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        self._model_layers.for_run().check(layer)
        entry: CompiledCapture = self._compiled.get(
            (self._shape_key(inputs), layer, objective.key, derivatives, gradient_rule),
            lambda: self._trace_capture(inputs, layer, objective, derivatives, gradient_rule),
        )
        objective.target.check_outputs(entry.shape)
        arrays = objective.target.arrays(image_count(inputs))
        return entry.capture(
            lambda scales: self._run(entry.function, inputs, *scales, *arrays), self.xp, self.to_numpy, tf.constant
        )

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        target, images = objective.target, image_count(inputs)
        is_one = target.target_count == 1
        entry: CompiledAttention = self._compiled.get(
            ("attention", self._shape_key(inputs), objective.key, derivatives, is_one),
            lambda: self._trace_attention(inputs, objective, derivatives, is_one=is_one),
        )
        target.check_outputs(entry.shape)
        return run_attention(
            entry,
            lambda scales: self._run(entry.function, inputs, *scales, *target.arrays(images)),
            images,
            self.to_numpy,
            tf.constant,
        )

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        if self._is_free_of_attention:
            return ()
        key = ("attention shapes", self._shape_key(inputs))
        shapes: tuple[tuple[int, ...], ...] = self._compiled.get(key, lambda: self._attention_shapes(inputs))
        return shapes

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        return () if self._is_free_of_attention else self._traced_calls(inputs).links

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        objective = objective.for_image(0)
        self._model_layers.for_run().check(layer)
        key = ("head", self._shape_key(inputs), layer, objective.key)
        entry: CompiledHead = self._compiled.get(key, lambda: self._trace_head(inputs, layer, objective))
        objective.target.check_outputs(entry.shape)
        bypass = self._run(entry.trunk, inputs)

        def scores(perturbations: NDArray[Any]) -> NativeTensor:
            arrays = objective.target.arrays(len(perturbations))
            try:
                activations = tf.constant(layer_layout(entry.call, perturbations))
                return entry.head(activations, bypass, *map(tf.constant, arrays))
            except tf.errors.OpError as error:
                raise model_run_error(inputs, _graph_message(error)) from error

        return scores

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]]:
        recorder = OutputRecorder(self._model)
        found: set[tuple[str, int]] = set()

        def forward(batch: InputBatch) -> None:
            with self._recording(self._layers, recorder):
                tree = self._forward(batch, recorder)
            selected, *_ = select_tensorflow_outputs(tree, objective)
            tensors = carrying_tensors(leaves(batch), selected.tensors)
            found.update(call for call, output in recorder.outputs.items() if output.ref() in tensors)

        self._compile(forward, inputs)
        return frozenset(found)

    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        return self._traced_calls(inputs).origins

    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        known: bool | None = self.evidence.get(self._moves_key(inputs, layer, leaf))
        if known is not None:  # the trace of a capture decides it too
            return known
        _, found = self._trace_stem(inputs, layer, leaf)
        return any(stem.is_moved(self.image_size(inputs, leaf)) for stem in found)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        function, found = self._trace_stem(inputs, layer, leaf)
        return [
            StemValues(np.moveaxis(np.asarray(tensor, dtype=np.float32), stem.axes, (1, 2)), stem.window)
            for tensor, stem in zip(self._run(function, inputs), found, strict=True)
        ]

    @property
    def variables(self) -> list[NativeTensor]:
        """The model's variables."""
        return [variable.value for variable in self._model.variables]

    @property
    def layers_by_path(self) -> Mapping[str, Any]:
        """The layers and operations that the model has now."""
        return self._layers

    def run_tapped(
        self,
        batch: InputBatch,
        inputs: InputBatch,
        layer: LayerChoice,
        tape: tf.GradientTape,
        gradient_rule: GradientRule,
    ) -> tuple[TensorflowTap, ArrayTree]:
        """Run the model on symbolic inputs with a tap on a layer, and return the tap and the outputs.

        Args:
            batch: The symbolic inputs, in the graph that is traced.
            inputs: Inputs of the same shape.
            layer: The layer, and which of its calls.
            tape: Records the head.
            gradient_rule: How gradients flow.
        """
        tap = TensorflowTap(self._model, layer, self._execution(inputs, layer), tape)
        with self._recording(self._layers, tap):
            if layer.is_input:
                tap.watch(self._input_call(inputs, layer), leaves(batch)[layer.leaf])
            with guide_relus(gradient_rule):
                tree = self._forward(batch, tap)
            tap.check()
        return tap, tree

    def weights_version(self) -> Hashable:
        key = ("weights", self._model_layers.for_run().version)
        read = self._compiled.get(key, lambda: WeightReader([variable.value for variable in self._model.variables]))
        return (self._model_layers.for_run().version, read())

    def export_onnx(self, inputs: InputBatch) -> ExportedGraph:
        recorders: list[ExportedOutputs] = []

        def forward(*tensors: NativeTensor) -> list[NativeTensor]:
            recorders.append(recorder := ExportedOutputs(self._model))
            batch = with_leaves(inputs, iter(tensors))
            with self._recording(self._layers, recorder):
                return recorder.flatten(self._forward(batch, recorder))

        specs = [tf.TensorSpec((self.batch_size, *array.shape[1:]), array.dtype) for array in leaves(inputs)]
        with translated_export(FAILURES, plain_message):
            content, names = export(forward, specs)
        return recorders[-1].graph(content, names)

    def _run(self, function: Any, inputs: InputBatch, *arrays: Any) -> Any:
        try:
            return function(map_tree(tf.constant, inputs), *map(tf.constant, arrays))
        except tf.errors.OpError as error:
            raise model_run_error(inputs, _graph_message(error)) from error

    def _compile(self, function: Callable[..., Any], inputs: InputBatch, arrays: tuple[Any, ...] = ()) -> Any:
        """Trace `function` for inputs of these shapes, any batch size, and `arrays` of any first two sizes."""
        batch = map_tree(lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), inputs)
        specs = [tf.TensorSpec((None, None, *array.shape[2:]), array.dtype) for array in arrays]
        # TensorFlow optimizes the graph when it is first run.
        return timed_first_call(direct_call(compiled(function, (batch, *specs), self._precision)))

    def _forward(self, inputs: InputBatch, recorder: KerasRecorder | None = None) -> ArrayTree:
        if recorder is not None:
            recorder.name_inputs(self.input_names(inputs), leaves(inputs))
        self._model_layers.run()
        with translated_errors(inputs, FAILURES, recorder, plain_message), preserve_keras_state(self._model):
            return self._model(inputs, training=False)

    def _execution(self, inputs: InputBatch, layer: LayerChoice) -> int | None:
        """Return the call that a choice by number selects, counted in the order in which the layer's calls run."""
        if layer.number is None or layer.is_input:
            return None
        return check_tapped(layer, self.calls(inputs), FUNCTION_ADVICE).execution

    def _traced_calls(self, inputs: InputBatch) -> TracedCalls:
        key = ("calls", self._shape_key(inputs))
        traced: TracedCalls = self._compiled.get(key, lambda: self._trace_calls(inputs))
        return traced

    def _trace_calls(self, inputs: InputBatch) -> TracedCalls:
        recorder, is_free = OutputRecorder(self._model), self._is_free_of_attention
        layouts: list[MapLayout] = []
        links: list[bool] = []
        origins: dict[tuple[str, int], frozenset[int]] = {}

        def forward(batch: InputBatch) -> list[NativeTensor]:
            with self._recording(self._layers, recorder):
                self._forward(batch, recorder)
            if len(leaves(batch)) > 1:
                found = origins_of_tensors(leaves(batch))
                origins.update(
                    (call, found.get(output.ref(), frozenset())) for call, output in recorder.outputs.items()
                )
            if is_free:
                return []
            with suppress(LayerError):
                maps = map_tensors(leaves(batch), image_count(inputs))
                layouts[:], links[:] = maps.layouts, maps.links
                return [tf.shape(each) for each in maps.laid_out()]
            return []

        function = self._compile(forward, inputs)  # dropped, of some 10 MB, where it computes nothing
        return TracedCalls(recorder.ordered_calls(), function if layouts else None, layouts, tuple(links), origins)

    def _attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        traced, images = self._traced_calls(inputs), image_count(inputs)
        if traced.map_shapes is None:
            return ()
        sizes = [tuple(map(int, shape)) for shape in self._run(traced.map_shapes, inputs)]
        with suppress(LayerError):  # of maps of which only a run shows that their images cannot be told apart
            return tuple(layout.shape(size, images) for layout, size in zip(traced.layouts, sizes, strict=True))
        return ()

    def _trace_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives, *, is_one: bool
    ) -> CompiledAttention:
        facts: dict[str, Any] = {}
        is_scaled = derivatives == "gradients" and self._has_float16

        def capture(batch: InputBatch, *arrays: NativeTensor) -> dict[str, Any]:
            scale, arrays = (arrays[0], arrays[1:]) if is_scaled else (1.0, arrays)
            recorder = KerasRecorder(self._model)
            with self._recording(self._layers, recorder):  # recorded so that nothing is rematerialized
                tree = self._forward(batch, recorder)
            maps = map_tensors(leaves(batch), image_count(inputs))
            selected, *_ = select_tensorflow_outputs(tree, objective)
            outputs = selected.read(selected.tensors)
            target_scores = outputs.score(objective, arrays, self.xp)
            facts.update(layouts=maps.layouts, shape=outputs.shape, activation=outputs.activation)
            captured = _scored(outputs, target_scores) | {"maps": maps.laid_out()}
            if derivatives == "gradients":
                totals = tf.reduce_sum(tf.cast(target_scores.scores, tf.float32) * scale, axis=0)
                with translated_errors(inputs, FAILURES, None, plain_message):
                    captured["gradients"] = maps.gradients(totals, is_one=is_one)
            return captured

        arrays = objective.target.arrays(image_count(inputs))
        function = self._compile(capture, inputs, (np.ones((1, 1), np.float32), *arrays) if is_scaled else arrays)
        return CompiledAttention(function, **facts, scale_shape=(1, 1) if is_scaled else None)

    def _trace_predict(self, inputs: InputBatch, output: int | str | None) -> Any:
        def probabilities(batch: InputBatch) -> NativeTensor | None:
            selected, *_ = select_tensorflow_outputs(self._forward(batch), Objective(TopK(), output=output))
            return selected.read(selected.tensors).probabilities

        return self._compile(probabilities, inputs)

    def _trace_capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives,
        gradient_rule: GradientRule,
    ) -> CompiledCapture:
        facts: dict[str, Any] = {}
        execution = self._execution(inputs, layer)
        is_scaled = derivatives == "gradients" and self._has_float16

        def capture(batch: InputBatch, *arrays: NativeTensor) -> dict[str, NativeTensor]:
            scale, arrays = (arrays[0], arrays[1:]) if is_scaled else (1.0, arrays)
            tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
            tap = TensorflowTap(self._model, layer, execution, tape)
            # All layers are recorded, whichever is tapped: an earlier one may determine the layout of its output.
            with tape, self._recording(self._layers, tap):
                if layer.is_input:
                    tap.watch(self._input_call(inputs, layer), leaves(batch)[layer.leaf])
                with guide_relus(gradient_rule):
                    tree = self._forward(batch, tap)
                tap.check()
                if not layer.is_input:
                    for leaf in range(len(leaves(inputs))):
                        self._find_stem(inputs, batch, tap, leaf)
                selected, is_taped, is_inlined = select_tensorflow_outputs(tree, objective)
                mean = pooled_mean(selected.tensors, tap.output, tap.space)
                pass_bytes = bytes_of_pass(tap.output, mean)
                products = find_dense_products(tap.output, selected.tensors)
                if derivatives == "gradients" and gradient_rule in GUIDED_RULES:
                    check_head_activations(
                        tap.output, selected.one_logits, self._layers, gradient_rule, is_inlined=is_inlined
                    )
                outputs = selected.read(selected.tensors)
                target_scores = outputs.score(objective, arrays, self.xp if mean is None else VECTORIZED)
                scores = tf.cast(target_scores.scores, tf.float32) * scale
            facts.update(layer=layer.named(tap.call), shape=outputs.shape, activation=outputs.activation)
            facts["is_bypassed"] = is_bypassed(leaves(batch), tap.output, selected.tensors)
            captured = _captured(tap, outputs, target_scores, self.xp)
            if derivatives == "closed_form" and mean is not None and not self._has_float16:
                with translated_errors(inputs, FAILURES, None, plain_message):
                    captured["closed_form"] = closed_form(captured["scores"], mean, captured["activations"])
            if derivatives == "gradients":
                with translated_errors(inputs, FAILURES, None, plain_message):
                    recorded = tape if is_taped else None
                    by_target = gradients(
                        recorded, scores, tap, gradient_rule, pass_bytes=pass_bytes, products=products
                    )
                captured["gradients"] = targets_second(tap.call, tf.cast(by_target, tf.float32), self.xp)
            return captured

        arrays = objective.target.arrays(image_count(inputs))
        function = self._compile(capture, inputs, (np.ones((1, 1), np.float32), *arrays) if is_scaled else arrays)
        return CompiledCapture(function, **facts, scale_shape=(1, 1) if is_scaled else None)

    def _find_stem(self, inputs: InputBatch, batch: InputBatch, tap: TensorflowTap, leaf: int) -> list[StemInput]:
        """Find what the stem receives of an input in the graph of this trace, and note whether it is moved."""
        is_images = leaves(inputs)[leaf].ndim == 4
        found = find_stem_inputs(leaves(batch)[leaf], tap.output, tap.call) if is_images else []
        moved = any(stem.is_moved(self.image_size(inputs, leaf)) for stem in found)
        self.evidence.add(self._moves_key(inputs, tap.layer, leaf), moved)
        return found

    def _moves_key(self, inputs: InputBatch, layer: LayerChoice, leaf: int) -> Hashable:
        return ("moves image", self._shape_key(inputs), layer, leaf)

    def _trace_stem(
        self, inputs: InputBatch, layer: LayerChoice, leaf: int
    ) -> tuple[Callable[..., Any], list[StemInput]]:
        tap = TensorflowTap(self._model, layer, self._execution(inputs, layer))
        arrays = leaves(inputs)
        found: list[StemInput] = []

        def forward(*tensors: NativeTensor) -> None:
            batch = with_leaves(inputs, iter(tensors))
            with self._recording(self._layers, tap):
                self._forward(batch, tap)
            tap.check()
            found[:] = self._find_stem(inputs, batch, tap, leaf)

        specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in arrays]
        graph = tf.compat.v1.wrap_function(forward, specs)
        function = graph.prune(graph.inputs[: len(arrays)], [stem.tensor for stem in found])
        return lambda batch: function(*leaves(batch)), found

    def _trace_head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> CompiledHead:
        tap = TensorflowTap(self._model, layer, self._execution(inputs, layer))
        facts: dict[str, Any] = {}

        def forward(batch: InputBatch) -> None:
            with self._recording(self._layers, tap):
                if layer.is_input:
                    tap.watch(self._input_call(inputs, layer), leaves(batch)[layer.leaf])
                raw = self._forward(batch, tap)
            tap.check()
            selected, *_ = select_tensorflow_outputs(raw, objective)
            shape = selected.read(selected.tensors).shape
            objective.target.check_outputs(shape)
            facts.update(batch=leaves(batch), selected=selected, shape=shape)

        image = map_tree(lambda array: tf.TensorSpec(array.shape, array.dtype), inputs)
        graph = tf.compat.v1.wrap_function(forward, [image])
        selected = facts["selected"]
        trunk, head, bypass = split(graph, facts["batch"], tap.output, selected.tensors)
        map_head = partial(over_perturbations, selected.tensors)

        def scores(perturbations: NativeTensor, bypass: list[NativeTensor], *arrays: NativeTensor) -> NativeTensor:
            # Every perturbation is a batch of one image, as the tensors that bypass the layer are: (M, 1, ...). Of a
            # model with a fixed batch size, as many perturbations as it takes are one batch.
            shape = [-1, image_count(inputs), *tap.output.shape[1:]]
            groups = tf.reshape(tf.cast(perturbations, tap.output.dtype), shape)
            batches = map_head(lambda activations: head(activations, *bypass), groups)
            outputs = selected.read([tf.reshape(batch, tf.concat([[-1], tf.shape(batch)[2:]], 0)) for batch in batches])
            return tf.cast(outputs.score(objective, arrays, self.xp).scores, tf.float32)

        arrays = [tf.TensorSpec((None, None, *array.shape[2:]), array.dtype) for array in objective.target.arrays(1)]
        activations = tf.TensorSpec((None, *tap.output.shape[1:]), tf.float32)
        compiled_head = compiled(scores, (activations, bypass, *arrays), self._precision)
        compiled_trunk = compiled(lambda batch: trunk(*leaves(batch)), (image,), self._precision)
        return CompiledHead(timed_first_call(compiled_trunk), timed_first_call(compiled_head), tap.call, facts["shape"])


def _captured(
    tap: TensorflowTap, outputs: Outputs, target_scores: TargetScores, xp: Namespace
) -> dict[str, NativeTensor]:
    """Return what is captured but for derivatives, by the fields of `Capture`."""
    return {
        "activations": channels_last(tap.call, tf.cast(tap.output, tf.float32), xp),
        **_scored(outputs, target_scores),
    }


def _scored(outputs: Outputs, target_scores: TargetScores) -> dict[str, Any]:
    """Return the tensors of a capture that are computed from the model's outputs, by name."""
    return {
        "scores": tf.cast(target_scores.scores, tf.float32),
        "indices": target_scores.indices,
        "outputs": outputs.raw,
        "probabilities": outputs.probabilities,
    }


def _graph_message(error: tf.errors.OpError) -> str:
    """Return the message of an error in a graph without the calls and files that led to the operation."""
    message = CALL.sub("", str(error.message))
    lines = message.splitlines()
    own = [line for line in lines if line.strip() and not line.startswith(GRAPH_TRACE)]
    return "\n".join(own) or message
