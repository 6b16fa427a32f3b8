"""A model's forward pass on JAX with its convolutions and matrix products in bfloat16.

These take most of the time. Other operations stay in float32: they are cheap, and XLA fuses them.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from seewhy.frameworks.jax.trunk_and_head import (
    ClosedJaxpr,
    JaxprEqn,
    as_function,
    evaluate_equation,
)
from seewhy.types import NativeTensor

PRODUCTS = {"conv_general_dilated", "dot_general"}
"""The primitives of convolutions and matrix products."""


def in_bfloat16(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return the jaxpr with the products of float32 arrays in bfloat16.

    The equations inside a loop, a branch or a custom derivative are not changed.
    """
    return jax.make_jaxpr(as_function(closed, closed.jaxpr.outvars, _evaluate))(*closed.in_avals)


def _evaluate(equation: JaxprEqn, arrays: Sequence[NativeTensor]) -> Sequence[NativeTensor]:
    """Evaluate an equation; a product's result is in bfloat16 too, or JAX could not differentiate a convolution."""
    if equation.primitive.name not in PRODUCTS or any(array.dtype != jnp.float32 for array in arrays):
        return evaluate_equation(equation, arrays)
    parameters = equation.params | {"precision": None, "preferred_element_type": jnp.dtype(jnp.bfloat16)}
    product = equation.primitive.bind(*(array.astype(jnp.bfloat16) for array in arrays), **parameters)
    return [product.astype(jnp.float32)]
