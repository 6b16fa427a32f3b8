"""A model's forward pass on JAX with its convolutions and matrix products in bfloat16.

They are what takes the time. All else stays in float32: it is cheap, and XLA does it on the way.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn

from seewhy.frameworks.jax.graph import perform_as_is, run
from seewhy.types import Tensor

PRODUCTS = {"conv_general_dilated", "dot_general"}
"""Equations that multiply and add up."""


def in_bfloat16(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return the equations with those products of float32 arrays in bfloat16 that stand in the open.

    What a loop, a branch or a derivative said apart holds is left as it is.
    """
    return jax.make_jaxpr(run(closed, closed.jaxpr.outvars, _perform))(*closed.in_avals)


def _perform(equation: JaxprEqn, arrays: Sequence[Tensor]) -> Sequence[Tensor]:
    """Run an equation; a product with its result in bfloat16 too, as only so JAX can differentiate a convolution."""
    if equation.primitive.name not in PRODUCTS or any(array.dtype != jnp.float32 for array in arrays):
        return perform_as_is(equation, arrays)
    parameters = equation.params | {"precision": None, "preferred_element_type": jnp.dtype(jnp.bfloat16)}
    product = equation.primitive.bind(*(array.astype(jnp.bfloat16) for array in arrays), **parameters)
    return [product.astype(jnp.float32)]
