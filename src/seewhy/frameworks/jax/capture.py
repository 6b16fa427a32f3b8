"""Compiling captures and heads out of a traced model."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import keras

from seewhy.frameworks.compiled import CompiledCapture, CompiledHead, timed_first_call
from seewhy.frameworks.guided import GUIDED
from seewhy.frameworks.jax.graph import Run, depends, position_of_sum, split, tapped_at
from seewhy.frameworks.jax.guided import guided
from seewhy.frameworks.jax.tap import TracedModel, output_shape
from seewhy.frameworks.layers import LayerCall, LayerChoice, no_gradient
from seewhy.targets import Objective
from seewhy.types import Derivatives, GradientRule, Tensor


def compile_capture(
    traced: TracedModel,
    call: LayerCall,
    layer: LayerChoice,
    objective: Objective,
    derivatives: Derivatives,
    gradient_rule: GradientRule,
) -> CompiledCapture:
    """Compile the trunk, the head and its derivatives at one call of a layer.

    Raises:
        MethodError: The rule is "guided", and the head has activations other than ReLUs.
        NoGradientError: The scores do not depend on the layer.
        TargetError: The model's outputs do not allow the target.
    """
    if derivatives == "closed_form":
        compiled = _compile_closed_form(traced, call, layer, objective)
        if compiled is not None:
            return compiled
    position, selected = traced.position(call), traced.select_outputs(objective)
    trunk, head = split(traced.jaxpr, position, selected.tensors)
    differentiated = head
    if derivatives == "gradients" and gradient_rule in GUIDED:
        rule = guided(traced.jaxpr, position, selected.one_logits, gradient_rule)
        differentiated = split(traced.jaxpr, position, selected.tensors, rule).head
    shape = output_shape(selected)
    objective.target.check_outputs(shape)

    def capture(flat: list[Tensor], *arrays: Tensor) -> dict[str, Tensor]:
        tapped, *passing = trunk(*flat)

        def totals(activations: Tensor, head: Run = head) -> tuple[Tensor, dict[str, Tensor]]:
            outputs = selected.read(head(activations, *passing))
            answer = outputs.score(objective, arrays, keras.ops)
            scores = jnp.asarray(answer.scores, jnp.float32)
            rest = {"outputs": outputs.raw, "probabilities": outputs.probabilities}
            # The images of a batch do not influence each other, so the gradient of the sum is each image's own.
            return jnp.sum(scores, axis=0), {"scores": scores, "indices": answer.indices, **rest}

        captured = {"activations": channels_last(call, tapped.astype(jnp.float32))}
        if derivatives != "gradients":
            return captured | totals(tapped)[1]
        if not depends(lambda activations: totals(activations)[0], tapped):
            raise no_gradient(call.path)
        values, pull_back, rest = jax.vjp(partial(totals, head=differentiated), tapped, has_aux=True)
        (gradients,) = jax.vmap(pull_back)(jnp.eye(values.size, dtype=values.dtype))
        return captured | rest | {"gradients": targets_second(call, gradients.astype(jnp.float32))}

    return CompiledCapture(timed_first_call(jax.jit(capture)), layer.named(call), shape)


def _compile_closed_form(
    traced: TracedModel, call: LayerCall, layer: LayerChoice, objective: Objective
) -> CompiledCapture | None:
    """Compile the closed form; None where the scores depend on more of the layer than its mean over space."""
    position, selected = traced.position(call), traced.select_outputs(objective)
    jaxpr, tapped = traced.jaxpr.jaxpr, tapped_at(traced.jaxpr.jaxpr, position)
    rank = len(tapped.aval.shape)
    space = set(range(2, rank) if call.channels_first else range(1, rank - 1))
    position_of_total = position_of_sum(jaxpr, tapped, space, selected.tensors)
    if position_of_total is None:
        return None
    trunk, head = split(traced.jaxpr, position_of_total, [*selected.tensors, tapped])
    shape = output_shape(selected)
    objective.target.check_outputs(shape)

    def capture(flat: list[Tensor], *arrays: Tensor) -> dict[str, Tensor]:
        total, *passing = trunk(*flat)

        def scores_of(total: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            *tensors, output = head(total, *passing)
            outputs = selected.read(tensors)
            answer = outputs.score(objective, arrays, keras.ops)
            scores = jnp.asarray(answer.scores, jnp.float32)
            rest = {"outputs": outputs.raw, "probabilities": outputs.probabilities, "indices": answer.indices}
            return scores, rest | {"scores": scores, "activations": channels_last(call, output.astype(jnp.float32))}

        def derivative(direction: Tensor) -> Tensor:
            return jax.jvp(lambda total: scores_of(total)[0], (total,), (direction,))[1]

        if not depends(lambda total: scores_of(total)[0], total):
            raise no_gradient(call.path)
        _, rest = scores_of(total)
        images, *space, channels = rest["activations"].shape
        # The derivative along the activations of each position, as if they were all that is added up.
        positions = jnp.moveaxis(rest["activations"].reshape(images, -1, channels), 1, 0)
        sums = jax.vmap(derivative)(positions.astype(total.dtype).reshape(-1, *total.shape))
        return rest | {"closed_form": jnp.moveaxis(sums, 0, -1).reshape(images, -1, *space)}

    return CompiledCapture(timed_first_call(jax.jit(capture)), layer.named(call), shape)


def compile_head(traced: TracedModel, call: LayerCall, objective: Objective) -> CompiledHead:
    """Compile the trunk and the head at one call of a layer, for one image."""
    selected = traced.select_outputs(objective)
    trunk, head = split(traced.jaxpr, traced.position(call), selected.tensors)
    tapped, *_ = jax.eval_shape(trunk, *traced.jaxpr.in_avals)
    shape = output_shape(selected)
    objective.target.check_outputs(shape)

    def scores(perturbations: Tensor, passing: list[Tensor], arrays: Sequence[Tensor]) -> Tensor:
        def run_one(activations: Tensor) -> list[Tensor]:
            return head(activations[None], *passing)

        # Every perturbation is an image of its own, (M, 1, ...), as what passes by the layer is one image's.
        batches = jax.vmap(run_one)(perturbations.astype(tapped.dtype))
        outputs = selected.read([batch.reshape(-1, *batch.shape[2:]) for batch in batches])
        return jnp.asarray(outputs.score(objective, arrays, keras.ops).scores, jnp.float32)

    passing = jax.jit(lambda flat: trunk(*flat)[1:])
    return CompiledHead(timed_first_call(passing), timed_first_call(jax.jit(scores)), call, shape)


def channels_last(call: LayerCall, tensor: Tensor) -> Tensor:
    """Return a call's output as (N, *space, K), however the layer lays it out."""
    return jnp.moveaxis(tensor, 1, -1) if call.channels_first else tensor


def targets_second(call: LayerCall, gradients: Tensor) -> Tensor:
    """Return gradients (T, N, ...), laid out as the call's output, as (N, T, *space, K)."""
    gradients = jnp.swapaxes(gradients, 0, 1)
    return jnp.moveaxis(gradients, 2, -1) if call.channels_first else gradients
