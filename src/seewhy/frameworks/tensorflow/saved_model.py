"""Keras models on TensorFlow as a SavedModel that computes its heatmaps, with TensorFlow's own gradients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seewhy.errors import ModelError
from seewhy.frameworks.export_settings import PIXELS, ExplainedModel, ExportSettings
from seewhy.frameworks.keras.explained_function import (
    ChosenClasses,
    check_pass_count,
    choose_classes,
    class_scores,
    finished_heatmaps,
    has_closed_form,
    transformed_pixels,
)
from seewhy.frameworks.layers import LayerChoice
from seewhy.frameworks.layouts import channels_last, targets_second
from seewhy.frameworks.non_relu import GUIDED_RULES
from seewhy.frameworks.structures import InputBatch, leaves, map_tree
from seewhy.frameworks.tensorflow.backward import bytes_of_pass, gradients
from seewhy.frameworks.tensorflow.framework import KerasTensorflow
from seewhy.frameworks.tensorflow.guided import check_head_activations
from seewhy.frameworks.tensorflow.logits import select_tensorflow_outputs
from seewhy.frameworks.tensorflow.mean_head import closed_form, pooled_mean
from seewhy.frameworks.tensorflow.tap import TensorflowTap
from seewhy.targets import Objective, TopK
from seewhy.types import Capture, NativeTensor

SIGNATURE = "serving_default"

PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
"""Operations that call a function of the process in which they were made."""

FAILURES = (AssertionError, TypeError, ValueError, tf.errors.OpError)
"""The exceptions of TensorFlow for what cannot be saved; an AssertionError is for resources that it cannot find."""


def write_saved_model(
    framework: KerasTensorflow, path: Path, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings
) -> ExplainedModel:
    """Write a model that computes its scores and heatmaps as a SavedModel.

    Args:
        framework: Runs the model.
        path: The folder.
        inputs: Of the size for which it is exported.
        layer: The layer that is explained.
        settings: What it computes.

    Raises:
        LayerError, MethodError, TargetError, ModelError: The layer, the method, the targets or the outputs do not
            allow it; or the model calls functions of Python, or TensorFlow cannot save a resource of it.
    """
    program = _Program(framework, inputs, layer, settings)
    function = tf.function(program, autograph=False).get_concrete_function(**program.specs())
    _check_calls_of_python(function.graph.as_graph_def())
    module = tf.Module()
    module.weights = [*framework.variables, *function.graph.variables]  # those of TensorFlow that Keras does not know
    # What differentiates the heatmaps again is not saved: the rules of guided backpropagation have no derivative there.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        tf.saved_model.save(module, path, signatures={SIGNATURE: function}, options=options)
    except FAILURES as error:
        raise ModelError(f"TensorFlow cannot save the exported model: {' '.join(str(error).split())[:300]}") from error
    outputs = tuple(function.structured_outputs)
    return ExplainedModel(path, program.names, outputs, program.layer_name, program.activation, program.passes)


def run_saved_model(path: Path, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Load a SavedModel, and return its outputs by name.

    Raises:
        ModelError: TensorFlow cannot load or run it.
    """
    try:
        function = tf.saved_model.load(path).signatures[SIGNATURE]
        found = function(**{name: tf.constant(array) for name, array in feeds.items()})
    except (tf.errors.OpError, ValueError) as error:
        raise ModelError(f"TensorFlow cannot run the exported model: {error}") from error
    return {name: np.asarray(tensor) for name, tensor in found.items()}


def _check_calls_of_python(graph: Any) -> None:
    """Raise ModelError for operations that call Python: in another process than this, they would find no function."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    found = next((node.name for node in nodes if node.op in PYTHON), None)
    if found is not None:
        raise ModelError(
            f"The model calls a function of Python, by tf.numpy_function or tf.py_function ({found!r}), which a "
            "SavedModel does not contain. Compute it with operations of keras.ops or TensorFlow."
        )


@final
class _Program:
    """The function that is traced: from the inputs by name to the outputs by name."""

    def __init__(
        self, framework: KerasTensorflow, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings
    ) -> None:
        self._framework, self._inputs, self._layer, self._settings = framework, inputs, layer, settings
        arrays = leaves(inputs)
        plain = ("input",) if len(arrays) == 1 else tuple(f"input_{number}" for number in range(1, len(arrays) + 1))
        self.names = plain if settings.pixels is None else (PIXELS,)
        self.layer_name, self.passes = layer.path, 0
        self.activation: Any = "linear"

    def specs(self) -> dict[str, tf.TensorSpec]:
        """Return the shape and the type of each input."""
        pixels = self._settings.pixels
        if pixels is not None:
            return {PIXELS: tf.TensorSpec((None, *pixels.size, 3), tf.uint8, PIXELS)}
        arrays = zip(self.names, leaves(self._inputs), strict=True)
        return {name: tf.TensorSpec((None, *array.shape[1:]), array.dtype, name) for name, array in arrays}

    def __call__(self, **tensors: NativeTensor) -> dict[str, NativeTensor]:
        framework, layer, settings = self._framework, self._layer, self._settings
        batch, rule = self._batch(tensors), settings.method.gradient_rule
        tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        with tape:
            tap, tree = framework.run_tapped(batch, self._inputs, layer, tape, rule)
            found = select_tensorflow_outputs(tree, Objective(TopK(), settings.score, settings.output))
            mean = pooled_mean(found.selected.tensors, tap.output, tap.space)
            pass_bytes = bytes_of_pass(tap.output, mean)
            if rule in GUIDED_RULES:
                logits = found.selected.one_logits
                check_head_activations(tap.output, logits, framework.layers_by_path, rule, is_inlined=found.is_inlined)
            outputs = found.selected.read(found.selected.tensors)
            scores = class_scores(outputs, settings.score)
            chosen = choose_classes(scores, settings)
        self.activation = outputs.activation
        named = {"scores": scores, "probabilities": tf.cast(outputs.probabilities, tf.float32)}
        recorded = tape if found.is_taped else None
        named["heatmaps"] = self._heatmaps(tap, recorded, mean, chosen, pass_bytes)
        if chosen.indices is not None:
            named["classes"] = tf.cast(chosen.indices, tf.int64)
        return named

    def _batch(self, tensors: Mapping[str, NativeTensor]) -> InputBatch:
        """Return the inputs by name in the structure that the model takes."""
        if self._settings.pixels is not None:
            (pixels,) = tensors.values()
            return map_tree(lambda _: transformed_pixels(pixels, self._settings.pixels), self._inputs)  # type: ignore[arg-type]
        rest = iter([tensors[name] for name in self.names])
        return map_tree(lambda _: next(rest), self._inputs)

    def _heatmaps(
        self,
        tap: TensorflowTap,
        tape: tf.GradientTape | None,
        mean: NativeTensor | None,
        chosen: ChosenClasses,
        pass_bytes: int | None,
    ) -> NativeTensor:
        """Return the heatmaps (N, T, *space)."""
        settings, layer = self._settings, str(self._layer)
        activations = channels_last(tap.call, tf.cast(tap.output, tf.float32), keras.ops)
        if mean is not None and has_closed_form(settings):
            product = closed_form(chosen.scores, mean, activations)
            static = (*chosen.scores.shape[:2], *activations.shape[1:-1])
            return finished_heatmaps(None, tf.ensure_shape(product, static), settings, layer)
        self.passes = int(chosen.scores.shape[1])
        check_pass_count(self.passes, layer)
        rule = settings.method.gradient_rule
        by_target = gradients(tape, chosen.scores, tap, rule, pass_bytes=pass_bytes)
        found = targets_second(tap.call, tf.cast(by_target, tf.float32), keras.ops)
        capture = Capture(
            activations=activations,
            gradients=tf.ensure_shape(found, (None, self.passes, *activations.shape[1:])),
            scores=chosen.scores,
            indices=chosen.scores,  # which no method reads
            outputs=chosen.scores,
            probabilities=None,
            layer=layer,
            xp=keras.ops,
        )
        return finished_heatmaps(capture, None, settings, layer)
