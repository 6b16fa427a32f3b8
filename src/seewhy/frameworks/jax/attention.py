"""Attention maps in a traced model, and their gradients."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp

from seewhy.frameworks.attention_maps import AttentionMap, FoundAttention, find_attention
from seewhy.frameworks.compiled import timed_first_call
from seewhy.frameworks.jax.axis_graph import JaxAxisGraph
from seewhy.frameworks.jax.compile_capture import output_scores, scores_shape
from seewhy.frameworks.jax.tap import TracedModel, output_facts
from seewhy.frameworks.jax.trunk_and_head import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Var,
    as_function,
    evaluate_equation,
    has_derivative,
    inline,
    inner_jaxpr,
)
from seewhy.frameworks.keras.attention_capture import CompiledAttention
from seewhy.frameworks.layers import UNEVEN, no_gradient_to_attention
from seewhy.frameworks.map_layout import MapLayout
from seewhy.targets import Objective
from seewhy.types import Derivatives, NativeTensor

UNREACHED = (
    "computes attention inside a loop, a branch, a vmap or a custom derivative of its own, where its maps cannot be "
    "reached"
)
"""The obstacle of attention in another jaxpr than the model's."""

SOFTMAX_PARTS = {"exp", "reduce_sum", "div"}
"""The primitives of a softmax, which JAX gives a custom derivative under `jax_softmax_custom_jvp`."""


@final
@dataclass(frozen=True)
class TracedAttention:
    """The attention maps of a traced model.

    Attributes:
        traced: The model.
        maps: The maps.
        layouts: The layouts of the maps; empty where there are none, or where they cannot be captured.
        shapes: The shape (H, Lq, Lk) of each map.
        obstacle: What keeps the maps from being captured; empty if nothing does.
        links: As in `FoundAttention`.
    """

    traced: TracedModel
    maps: tuple[AttentionMap, ...] = ()
    layouts: tuple[MapLayout, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    obstacle: str = ""
    links: tuple[bool, ...] = ()


def trace_attention(traced: TracedModel, images: int, trace_other: Callable[[], TracedModel | None]) -> TracedAttention:
    """Find the attention maps of a traced model.

    Args:
        traced: The model.
        images: The number of images of the trace, N.
        trace_other: Traces the model for another number of images, which is needed where several axes may be that of
            the images; returns None where the model takes no other number.
    """
    traced = _with_softmaxes(traced)
    found = _find(traced)
    candidates = [_images_axes(attention, images) for attention in found.maps]
    if any(len(axes) > 1 for axes in candidates) and (other := trace_other()) is not None:
        other_maps = _find(_with_softmaxes(other)).maps
        if len(other_maps) != len(found.maps):
            return TracedAttention(traced, obstacle=UNEVEN)
        candidates = [_changed_axes(*pair, images) for pair in zip(found.maps, other_maps, strict=True)]
        if any(len(axes) > 1 for axes in candidates):
            return TracedAttention(traced, obstacle=UNEVEN)
    if not all(candidates):
        return TracedAttention(traced, obstacle=UNEVEN)
    pairs = zip(found.maps, candidates, strict=True)
    layouts = tuple(MapLayout.of(attention, axes[0]) for attention, axes in pairs)
    sizes = [
        jax.eval_shape(partial(layout.map, xp=jnp), each.softmax.aval).shape
        for each, layout in zip(found.maps, layouts, strict=True)
    ]
    shapes = tuple(layout.shape(tuple(size), images) for layout, size in zip(layouts, sizes, strict=True))
    return TracedAttention(traced, found.maps, layouts, shapes, found.obstacle, found.links)


def compile_attention(
    attention: TracedAttention,
    objective: Objective,
    derivatives: Derivatives,
    translated: Callable[[], AbstractContextManager[None]],
) -> CompiledAttention:
    """Compile the model and its derivatives by attention maps.

    `translated` returns a context manager that translates the errors of derivatives that are the model's own.

    Raises:
        NoGradientError: The scores depend on none of the maps.
        TargetError: The model's outputs do not allow the target.
    """
    traced, layouts = attention.traced, attention.layouts
    is_scaled = derivatives == "gradients" and traced.has_float16
    selected = traced.select_outputs(objective)
    shape, activation = output_facts(selected)
    objective.target.check_outputs(shape)
    softmaxes: list[Var] = [each.softmax for each in attention.maps]

    def capture(flat: list[NativeTensor], *arrays: NativeTensor) -> dict[str, Any]:
        scale, arrays = (arrays[0], arrays[1:]) if is_scaled else (1.0, arrays)

        def totals(changes: list[NativeTensor]) -> tuple[NativeTensor, dict[str, Any]]:
            evaluate = _changing(dict(zip(softmaxes, changes, strict=True)))
            values = as_function(traced.jaxpr, [*softmaxes, *selected.tensors], evaluate)(*flat)
            captured = output_scores(selected.read(values[len(softmaxes) :]), objective, arrays)
            # No score may depend on more than one image, so the gradient of the sum is each image's own.
            return jnp.sum(captured["scores"] * scale, axis=0), captured | {"maps": values[: len(softmaxes)]}

        changes = [jnp.zeros(softmax.aval.shape, softmax.aval.dtype) for softmax in softmaxes]
        if derivatives == "none":
            _, captured = totals(changes)
            return _laid_out(captured, layouts)
        jax.eval_shape(totals, changes)  # an error of the target is not one of the model
        with translated():
            if not has_derivative(lambda changes: totals(changes)[0], changes):
                raise no_gradient_to_attention()
            values, backward, captured = jax.vjp(totals, changes, has_aux=True)
            (captured["gradients"],) = jax.vmap(backward)(jnp.eye(values.size, dtype=values.dtype))
        return _laid_out(captured, layouts)

    compiled = jax.jit(capture)
    scale_shape = scores_shape(compiled, traced, objective) if is_scaled else None
    return CompiledAttention(timed_first_call(compiled), layouts, shape, activation, scale_shape)


def _changing(changes: dict[Var, NativeTensor]) -> Callable[..., Sequence[NativeTensor]]:
    """Return how to evaluate equations so that `changes` are added to some of their results."""

    def evaluate(equation: JaxprEqn, arrays: Sequence[NativeTensor]) -> Sequence[NativeTensor]:
        results = evaluate_equation(equation, arrays)
        change = changes.get(equation.outvars[0]) if len(equation.outvars) == 1 else None
        return results if change is None else [results[0] + change]

    return evaluate


def _laid_out(captured: dict[str, Any], layouts: Sequence[MapLayout]) -> dict[str, Any]:
    """Return what was captured with maps and gradients in their layouts, in float32."""
    maps = [layout.map(each, jnp).astype(jnp.float32) for layout, each in zip(layouts, captured["maps"], strict=True)]
    if "gradients" not in captured:
        return captured | {"maps": maps}
    pairs = zip(layouts, captured["gradients"], strict=True)
    return captured | {
        "maps": maps,
        "gradients": [layout.gradients(each, jnp).astype(jnp.float32) for layout, each in pairs],
    }


def _find(traced: TracedModel) -> FoundAttention:
    jaxpr = traced.jaxpr.jaxpr
    if any(_has_attention(inner) for inner in _inner_jaxprs(jaxpr)):
        return FoundAttention((), UNREACHED)
    return find_attention(JaxAxisGraph(jaxpr, jaxpr.invars[len(traced.variables) :]))


def _with_softmaxes(traced: TracedModel) -> TracedModel:
    """Return a traced model with the equations of those softmaxes inlined that have a custom derivative."""
    hidden = [equation for equation in traced.jaxpr.jaxpr.eqns if _is_softmax(equation)]
    return traced._replace(jaxpr=inline(traced.jaxpr, hidden)) if hidden else traced


def _changed_axes(attention: AttentionMap, other: AttentionMap, images: int) -> list[int]:
    """Return the axes of a map that have another size for another number of images, and here a multiple of it."""
    sizes, others = attention.softmax.aval.shape, other.softmax.aval.shape
    return [axis for axis in attention.others if sizes[axis] != others[axis] and sizes[axis] % images == 0]


def _images_axes(attention: AttentionMap, images: int) -> list[int]:
    """Return the axes of a map that may be that of the images, whose size is a multiple of their number.

    For one image an axis of size 1 in the first place is one.
    """
    sizes = attention.softmax.aval.shape
    axes = [axis for axis in attention.others if sizes[axis] % images == 0]
    if images > 1 or not axes:
        return axes
    return axes[:1] if sizes[axes[0]] == 1 or all(sizes[axis] != 1 for axis in axes) else axes


def _is_softmax(equation: JaxprEqn) -> bool:
    """Whether an equation is a softmax with a custom derivative."""
    if equation.primitive.name != "custom_jvp_call":
        return False
    inner = inline(inner_jaxpr(equation)).jaxpr
    return SOFTMAX_PARTS.issubset({part.primitive.name for part in inner.eqns})


def _inner_jaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """Yield the jaxprs that a jaxpr's equations contain, at any depth."""
    for equation in jaxpr.eqns:
        for parameter in equation.params.values():
            for value in parameter if isinstance(parameter, (list, tuple)) else (parameter,):
                inner = value.jaxpr if isinstance(value, ClosedJaxpr) else value
                if isinstance(inner, Jaxpr):
                    yield inner
                    yield from _inner_jaxprs(inner)


def _has_attention(jaxpr: Jaxpr) -> bool:
    found = find_attention(JaxAxisGraph(jaxpr, jaxpr.invars))
    return bool(found.maps or found.obstacle)
