"""Compiling captures and heads from a traced model."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from seewhy.frameworks.compiled import CompiledCapture, CompiledHead, timed_first_call
from seewhy.frameworks.jax.guided import guide_relus
from seewhy.frameworks.jax.mean_head import closed_form, pooled_sum
from seewhy.frameworks.jax.tap import TracedModel, output_facts
from seewhy.frameworks.jax.trunk_and_head import (
    JaxprFunction,
    has_custom_backward,
    has_derivative,
    split,
    tapped_variable,
)
from seewhy.frameworks.layers import LayerCall, LayerChoice, no_gradient
from seewhy.frameworks.layouts import channels_last, spatial_axes, targets_second
from seewhy.frameworks.non_relu import GUIDED_RULES
from seewhy.frameworks.outputs import Outputs
from seewhy.targets import Objective
from seewhy.types import Derivatives, GradientRule, NativeTensor


def compile_capture(
    traced: TracedModel,
    call: LayerCall,
    layer: LayerChoice,
    objective: Objective,
    derivatives: Derivatives,
    gradient_rule: GradientRule,
    translated: Callable[[], AbstractContextManager[None]],
) -> CompiledCapture:
    """Compile the trunk, the head and its derivatives at one call of a layer.

    `translated` returns a context manager that translates the errors of derivatives that are the model's own.

    Raises:
        MethodError: The rule is "guided", and the head has activations other than ReLUs.
        NoGradientError: The scores do not depend on the layer.
        TargetError: The model's outputs do not allow the target.
    """
    if derivatives == "closed_form":
        compiled = _compile_closed_form(traced, call, layer, objective, translated)
        if compiled is not None:
            return compiled
    is_scaled = derivatives == "gradients" and traced.has_float16
    position, selected = traced.position(call), traced.select_outputs(objective)
    trunk, head = split(traced.jaxpr, position, selected.tensors)
    differentiated = head
    if derivatives == "gradients" and gradient_rule in GUIDED_RULES:
        evaluate = guide_relus(traced.jaxpr, position, selected.one_logits, gradient_rule)
        differentiated = split(traced.jaxpr, position, selected.tensors, evaluate).head
    shape, activation = output_facts(selected)
    objective.target.check_outputs(shape)

    def capture(flat: list[NativeTensor], *arrays: NativeTensor) -> dict[str, NativeTensor]:
        scale, arrays = (arrays[0], arrays[1:]) if is_scaled else (1.0, arrays)
        tapped, *bypass = trunk(*flat)

        def totals(
            activations: NativeTensor, head: JaxprFunction = head
        ) -> tuple[NativeTensor, dict[str, NativeTensor]]:
            captured = output_scores(selected.read(head(activations, *bypass)), objective, arrays)
            # No score may depend on more than one image, so the gradient of the sum is each image's own.
            return jnp.sum(captured["scores"] * scale, axis=0), captured

        tensors: dict[str, NativeTensor] = {"activations": channels_last(call, tapped.astype(jnp.float32), jnp)}
        if derivatives != "gradients":
            _, captured = totals(tapped)
            return tensors | captured
        jax.eval_shape(totals, tapped)  # an error of the target is not one of the model
        with translated():
            if not has_derivative(lambda activations: totals(activations)[0], tapped):
                raise no_gradient(call.path)
            values, backward, captured = jax.vjp(partial(totals, head=differentiated), tapped, has_aux=True)
            (gradients,) = jax.vmap(backward)(jnp.eye(values.size, dtype=values.dtype))
        tensors["gradients"] = targets_second(call, gradients.astype(jnp.float32), jnp)
        return tensors | dict(captured)

    compiled_capture = jax.jit(capture)
    scale_shape = scores_shape(compiled_capture, traced, objective) if is_scaled else None
    is_bypassed = traced.is_bypassed(call, selected)
    function = timed_first_call(compiled_capture)
    return CompiledCapture(function, layer.named(call), shape, activation, scale_shape, is_bypassed)


def scores_shape(capture: Callable[..., Any], traced: TracedModel, objective: Objective) -> tuple[int, int]:
    """Return the shape (N, T) of the scores of a capture that takes their scale."""
    avals = traced.jaxpr.in_avals
    arrays = objective.target.arrays(avals[-1].shape[0])
    images, targets = jax.eval_shape(capture, list(avals), np.ones((1, 1), np.float32), *arrays)["scores"].shape
    return images, targets


def _compile_closed_form(
    traced: TracedModel,
    call: LayerCall,
    layer: LayerChoice,
    objective: Objective,
    translated: Callable[[], AbstractContextManager[None]],
) -> CompiledCapture | None:
    """Compile the closed form; None where the head reads more of the layer than its mean, or cannot run forward.

    None in float16 too, which is too narrow for it: gradients are scaled instead.
    """
    if traced.has_float16:
        return None
    selected = traced.select_outputs(objective)
    tapped = tapped_variable(traced.jaxpr.jaxpr, traced.position(call))
    position = pooled_sum(selected.tensors, tapped, spatial_axes(call, len(tapped.aval.shape)), traced.jaxpr.jaxpr)
    if position is None or has_custom_backward(traced.jaxpr.jaxpr.eqns[position + 1 :]):
        return None
    trunk, head = split(traced.jaxpr, position, [*selected.tensors, tapped])
    shape, activation = output_facts(selected)
    objective.target.check_outputs(shape)

    def capture(flat: list[NativeTensor], *arrays: NativeTensor) -> dict[str, NativeTensor]:
        total, *bypass = trunk(*flat)

        def captured_from(total: NativeTensor) -> dict[str, NativeTensor]:
            *tensors, output = head(total, *bypass)
            captured = output_scores(selected.read(tensors), objective, arrays)
            return captured | {"activations": channels_last(call, output.astype(jnp.float32), jnp)}

        def scores_of(total: NativeTensor) -> NativeTensor:
            return captured_from(total)["scores"]

        captured = captured_from(total)
        with translated():
            if not has_derivative(scores_of, total):
                raise no_gradient(call.path)
            return captured | {"closed_form": closed_form(scores_of, total, captured["activations"])}

    is_bypassed = traced.is_bypassed(call, selected)
    function = timed_first_call(jax.jit(capture))
    return CompiledCapture(function, layer.named(call), shape, activation, is_bypassed=is_bypassed)


def compile_head(traced: TracedModel, call: LayerCall, objective: Objective) -> CompiledHead:
    """Compile the trunk and the head at one call of a layer, for one image.

    Raises:
        TargetError: The model's outputs do not allow the target.
    """
    selected = traced.select_outputs(objective)
    trunk, head = split(traced.jaxpr, traced.position(call), selected.tensors)
    tapped, *_ = jax.eval_shape(trunk, *traced.jaxpr.in_avals)
    shape, _ = output_facts(selected)
    objective.target.check_outputs(shape)

    def scores(perturbations: NativeTensor, bypass: list[NativeTensor], arrays: Sequence[NativeTensor]) -> NativeTensor:
        def run_one(activations: NativeTensor) -> list[NativeTensor]:
            return head(activations, *bypass)

        # Every perturbation is a batch of one image, as the arrays that bypass the layer are: (M, 1, ...). Of a model
        # with a fixed batch size, as many perturbations as it takes are one batch.
        groups = jnp.asarray(perturbations, tapped.dtype).reshape(-1, *tapped.shape)
        batches = jax.vmap(run_one)(groups)
        outputs = selected.read([batch.reshape(-1, *batch.shape[2:]) for batch in batches])
        return jnp.asarray(outputs.score(objective, arrays, keras.ops).scores, jnp.float32)

    bypass = jax.jit(lambda flat: trunk(*flat)[1:])
    return CompiledHead(timed_first_call(bypass), timed_first_call(jax.jit(scores)), call, shape)


def output_scores(outputs: Outputs, objective: Objective, arrays: Sequence[NativeTensor]) -> dict[str, NativeTensor]:
    """Return the tensors of a capture that are computed from the model's outputs, by name."""
    target_scores = outputs.score(objective, arrays, keras.ops)
    return {
        "scores": jnp.asarray(target_scores.scores, jnp.float32),
        "indices": target_scores.indices,
        "outputs": outputs.raw,
        "probabilities": outputs.probabilities,
    }
