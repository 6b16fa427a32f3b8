"""Heads that read only the spatial mean of a layer, found in a jaxpr, and their closed form."""

from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp

from seewhy.frameworks.jax.trunk_and_head import (
    MARK,
    Atom,
    Jaxpr,
    Var,
)
from seewhy.types import NativeTensor

VALUE_PRESERVING = {MARK, "convert_element_type", "copy"}
"""Primitives that keep every value."""


def pooled_sum(outputs: Sequence[Atom], tapped: Var, space: Iterable[int], jaxpr: Jaxpr) -> int | None:
    """Return the position of a variable's spatial sum; None if the outputs depend on more than that sum.

    JAX computes a mean as a sum and a division.

    Args:
        outputs: The model outputs that the objective reads.
        tapped: A variable of the jaxpr.
        space: The spatial axes of `tapped`.
        jaxpr: The traced model.
    """
    variable = tapped
    while all(output is not variable for output in outputs):
        consumers = [
            position
            for position, equation in enumerate(jaxpr.eqns)
            if any(atom is variable for atom in equation.invars)
        ]
        if len(consumers) != 1:
            return None
        equation = jaxpr.eqns[consumers[0]]
        if equation.primitive.name == "reduce_sum":
            return consumers[0] if set(equation.params["axes"]) == set(space) else None
        if equation.primitive.name not in VALUE_PRESERVING:
            return None
        (variable,) = equation.outvars
    return None


def closed_form(
    scores_of: Callable[[NativeTensor], NativeTensor], total: NativeTensor, activations: NativeTensor
) -> NativeTensor:
    """Return the sum over channels of activations times gradients, at every position and for every score.

    Where the scores depend only on the sum of the activations, this is the directional derivative of each score by the
    sum, along the activations of each position.

    Args:
        scores_of: From the sum to scores (N, T).
        total: The sum of the activations over space.
        activations: (N, *space, K).

    Returns:
        (N, T, *space).
    """

    def derivative(direction: NativeTensor) -> NativeTensor:
        return jax.jvp(scores_of, (total,), (direction,))[1]

    images, *space, channels = activations.shape
    positions = jnp.moveaxis(activations.reshape(images, -1, channels), 1, 0)
    sums = jax.vmap(derivative)(positions.astype(total.dtype).reshape(-1, *total.shape))
    return jnp.moveaxis(sums, 0, -1).reshape(images, -1, *space)
