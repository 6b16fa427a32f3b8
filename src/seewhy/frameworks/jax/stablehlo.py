"""Keras models on JAX as StableHLO that computes its heatmaps, with JAX's own gradients: `jax.export`."""

from collections.abc import Mapping
from typing import Any, final

import jax
import jax.export
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from seewhy.errors import ModelError, SeewhyError
from seewhy.frameworks.export_settings import PIXELS, ExplainedModel, ExportSettings
from seewhy.frameworks.jax.framework import KerasJax
from seewhy.frameworks.jax.guided import guide_relus
from seewhy.frameworks.jax.mean_head import closed_form, pooled_sum
from seewhy.frameworks.jax.trunk_and_head import (
    JaxprFunction,
    has_custom_backward,
    has_derivative,
    split,
    tapped_variable,
)
from seewhy.frameworks.keras.explained_function import (
    check_pass_count,
    choose_classes,
    class_scores,
    finished_heatmaps,
    has_closed_form,
    transformed_pixels,
)
from seewhy.frameworks.layers import LayerChoice, no_gradient
from seewhy.frameworks.layouts import channels_last, spatial_axes, targets_second
from seewhy.frameworks.non_relu import GUIDED_RULES
from seewhy.frameworks.outputs import Outputs
from seewhy.frameworks.structures import InputBatch, image_at, leaves, map_tree
from seewhy.targets import Objective, TopK
from seewhy.types import Capture, FinalActivation, NativeTensor

PLATFORMS = ("cpu", "cuda", "tpu")

FAILURES = (NotImplementedError, TypeError, ValueError)
"""The exceptions of JAX for what it cannot export."""


def explained_stablehlo(
    framework: KerasJax, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings
) -> ExplainedModel:
    """Return a model that computes its scores and heatmaps, serialized by `jax.export`, for any number of images.

    Args:
        framework: Runs the model.
        inputs: Of the size for which it is exported.
        layer: The layer that is explained.
        settings: What it computes.

    Raises:
        LayerError, MethodError, TargetError, ModelError: The layer, the method, the targets or the outputs do not
            allow it; or JAX cannot export what the model computes, such as calls of Python.
    """
    program = _Program(framework, image_at(inputs, 0), layer, settings)
    scope = jax.export.SymbolicScope()
    (images,) = jax.export.symbolic_shape("images", scope=scope)
    names, specs = _inputs(inputs, settings, images)
    try:
        content = bytes(jax.export.export(jax.jit(program), platforms=PLATFORMS)(*specs).serialize())
    except SeewhyError:
        raise
    except FAILURES as error:
        raise ModelError(
            f"JAX cannot export the model: {' '.join(str(error).split())[:300]}. Functions of Python that run with it, "
            "as by jax.pure_callback or jax.debug.print, cannot be exported."
        ) from error
    return ExplainedModel(
        model=content,
        inputs=names,
        outputs=tuple(program.outputs),
        layer=layer.path,
        activation=program.activation,
        backward_passes=program.passes,
    )


def _inputs(inputs: InputBatch, settings: ExportSettings, images: Any) -> tuple[tuple[str, ...], list[Any]]:
    """Return the names of the inputs, and the shape and the type of each."""
    if settings.pixels is not None:
        return (PIXELS,), [jax.ShapeDtypeStruct((images, *settings.pixels.size, 3), jnp.uint8)]
    arrays = leaves(inputs)
    names = ("input",) if len(arrays) == 1 else tuple(f"input_{number}" for number in range(1, len(arrays) + 1))
    return names, [jax.ShapeDtypeStruct((images, *array.shape[1:]), array.dtype) for array in arrays]


def run_stablehlo(content: bytes, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs of a serialized model by name.

    Args:
        content: The file.
        feeds: The inputs by name, in the order in which the model takes them.

    Raises:
        ModelError: JAX cannot load or run it.
    """
    try:
        outputs = jax.export.deserialize(bytearray(content)).call(*feeds.values())
    except (ValueError, TypeError, jax.errors.JaxRuntimeError) as error:
        raise ModelError(f"JAX cannot run the exported model: {error}") from error
    return {name: np.asarray(array) for name, array in outputs.items()}


@final
class _Program:
    """The function that is exported: the model of one image, over any number of them."""

    def __init__(self, framework: KerasJax, image: InputBatch, layer: LayerChoice, settings: ExportSettings) -> None:
        self._image, self._layer, self._settings = image, layer, settings
        self._traced = framework._traced(image)
        self._call = framework._call(self._traced, image, layer)
        self._selected = self._traced.select_outputs(Objective(TopK(), settings.score, settings.output))
        self._weights = [variable.value for variable in self._traced.variables]
        self.passes, self.outputs = 0, list[str]()
        self.activation: FinalActivation = "linear"

    def __call__(self, *arrays: NativeTensor) -> dict[str, NativeTensor]:
        pixels = self._settings.pixels
        if pixels is not None:
            arrays = (transformed_pixels(arrays[0], pixels),)
        outputs: dict[str, NativeTensor] = jax.vmap(self._of_one)(*arrays)
        return outputs

    def _of_one(self, *arrays: NativeTensor) -> dict[str, NativeTensor]:
        rest = iter(arrays)
        batch = map_tree(lambda _: next(rest)[None], self._image)
        found = self._explained([*self._weights, *jax.tree.leaves(batch)])
        self.outputs = list(found)
        return {name: tensor[0] for name, tensor in found.items()}

    def _explained(self, flat: list[NativeTensor]) -> dict[str, NativeTensor]:
        """Return the outputs by name, of a batch of one image."""
        settings, traced, selected = self._settings, self._traced, self._selected
        position, jaxpr = traced.position(self._call), traced.jaxpr.jaxpr
        tapped = tapped_variable(jaxpr, position)
        pooled = pooled_sum(selected.tensors, tapped, spatial_axes(self._call, len(tapped.aval.shape)), jaxpr)
        if pooled is not None and has_closed_form(settings) and not has_custom_backward(jaxpr.eqns[pooled + 1 :]):
            trunk, head = split(traced.jaxpr, pooled, [*selected.tensors, tapped])
            total, *bypass = trunk(*flat)
            *tensors, layer = head(total, *bypass)
            named, chosen = self._scored(selected.read(tensors))
            activations = channels_last(self._call, layer.astype(jnp.float32), jnp)

            def scores_of(total: NativeTensor) -> NativeTensor:
                return self._chosen_scores(selected.read(head(total, *bypass)[:-1]), chosen)

            product = closed_form(scores_of, total, activations)
            return named | {"heatmaps": finished_heatmaps(None, product, settings, str(self._layer))}
        trunk, head = split(traced.jaxpr, position, selected.tensors)
        layer, *bypass = trunk(*flat)
        named, chosen = self._scored(selected.read(head(layer, *bypass)))
        return named | {"heatmaps": self._by_backward_passes(layer, bypass, chosen, head)}

    def _scored(self, outputs: Outputs) -> tuple[dict[str, NativeTensor], NativeTensor | None]:
        """Return the scores, probabilities and classes by name; and the classes, where each image has its own."""
        scores = class_scores(outputs, self._settings.score)
        self.activation = outputs.activation or "linear"
        indices = choose_classes(scores, self._settings).indices
        named = {"scores": scores, "probabilities": outputs.probabilities}
        return named if indices is None else named | {"classes": indices}, indices

    def _chosen_scores(self, outputs: Outputs, indices: NativeTensor | None) -> NativeTensor:
        """Return the scores (N, T) of the classes that are explained."""
        scores = class_scores(outputs, self._settings.score)
        if indices is None:
            return choose_classes(scores, self._settings).scores
        return jnp.take_along_axis(scores, indices, axis=1)

    def _by_backward_passes(
        self, layer: NativeTensor, bypass: list[NativeTensor], indices: NativeTensor | None, head: JaxprFunction
    ) -> NativeTensor:
        """Return the heatmaps (N, T, *space) of gradients that take a backward pass for each target."""
        settings, selected, rule = self._settings, self._selected, self._settings.method.gradient_rule
        if rule in GUIDED_RULES:
            position = self._traced.position(self._call)
            evaluate = guide_relus(self._traced.jaxpr, position, selected.one_logits, rule)
            head = split(self._traced.jaxpr, position, selected.tensors, evaluate).head

        def totals(activations: NativeTensor) -> NativeTensor:
            return jnp.sum(self._chosen_scores(selected.read(head(activations, *bypass)), indices), axis=0)

        if not has_derivative(totals, layer):
            raise no_gradient(self._call.path)
        values, backward = jax.vjp(totals, layer)
        self.passes = values.size
        check_pass_count(self.passes, str(self._layer))
        (by_target,) = jax.vmap(backward)(jnp.eye(self.passes, dtype=values.dtype))
        capture = Capture(
            activations=channels_last(self._call, layer.astype(jnp.float32), jnp),
            gradients=targets_second(self._call, by_target.astype(jnp.float32), jnp),
            scores=values[None],
            indices=values[None],  # which no method reads
            outputs=values[None],
            probabilities=None,
            layer=self._call.path,
            xp=keras.ops,
        )
        return finished_heatmaps(capture, None, settings, str(self._layer))
