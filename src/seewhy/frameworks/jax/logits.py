"""What stands before a model's final softmax or sigmoid, read from its equations.

JAX has an equation for the sigmoid and none for the softmax, which is exp(x - max x) / sum(exp(x - max x)), nor for
its logarithm, (x - max x) - log(sum(exp(x - max x))). Whoever wrote it, these are its equations.
"""

import math
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal

from seewhy.frameworks.jax.graph import held
from seewhy.frameworks.outputs import FinalActivation

ORDER_KEEPING = {"convert_element_type", "reshape", "squeeze", "expand_dims", "copy", "stop_gradient", "name"}
"""Equations that leave every value where it was in the order of values."""

BROADCAST = "broadcast_in_dim"
"""An equation that keeps the order too, and may repeat values; where it repeats none, it only adds axes."""

CUSTOM = {"custom_jvp_call", "custom_vjp_call"}
"""Equations that hold others because their derivative is said apart."""

Found = tuple[FinalActivation, Any]


def bypass_final_activation(jaxpr: Jaxpr, output: Any) -> Found:
    """Return what the model does last, and the variable of its logits: `output` itself where it does nothing.

    The logits have the output's size, in the same order; their shape and type may be others.
    """
    shape = output.aval.shape
    return _Reader(jaxpr, shape[1] if len(shape) == 2 else None).head_of(output) or ("linear", output)


class _Reader:
    """Reads a jaxpr backwards; `classes` is None for outputs that are not (N, C)."""

    def __init__(self, jaxpr: Jaxpr, classes: int | None) -> None:
        self._classes = classes
        self._makers = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}

    def head_of(self, output: Any) -> Found | None:
        output = self.behind(output)
        last = self.maker(output)
        if last is None:
            return None
        if last.primitive.name == "logistic":
            return "sigmoid", last.invars[0]
        if last.primitive.name == "div":
            return self.softmax(*last.invars)
        if last.primitive.name == "sub":
            return self.log_softmax(*last.invars)
        return self.inside(last, output) if last.primitive.name in CUSTOM else None

    def softmax(self, numerator: Any, denominator: Any) -> Found | None:
        """Read `exp(x) / sum(exp(x))`."""
        exponential = self.maker(self.behind(numerator))
        if not _is(exponential, "exp") or not self.is_sum_of(denominator, exponential.invars[0]):
            return None
        return "softmax", self.unshifted(exponential.invars[0])

    def log_softmax(self, shifted: Any, normaliser: Any) -> Found | None:
        """Read `x - log(sum(exp(x)))`."""
        logarithm = self.maker(self.behind(normaliser, repeated=True))
        if not _is(logarithm, "log") or not self.is_sum_of(logarithm.invars[0], shifted):
            return None
        return "softmax", self.unshifted(shifted)

    def is_sum_of(self, total: Any, exponent: Any) -> bool:
        """Whether this is the sum of exp(exponent) over its last axis, and that is the classes'."""
        added = self.maker(self.behind(total, repeated=True))
        if not _is(added, "reduce_sum"):
            return False
        shape = added.invars[0].aval.shape
        if tuple(added.params["axes"]) != (len(shape) - 1,) or self._classes not in (None, shape[-1]):
            return False
        exponential = self.maker(self.behind(added.invars[0]))
        return _is(exponential, "exp") and exponential.invars[0] is exponent

    def unshifted(self, exponent: Any) -> Any:
        """Return x where this is `x - max x`, else what was given."""
        difference = self.maker(self.behind(exponent))
        if not _is(difference, "sub"):
            return exponent
        values, shift = difference.invars
        highest = self.maker(self.behind(shift, repeated=True))
        if _is(highest, "max"):  # of the values' maximum and a lowest value, which an empty maximum would have
            highest = self.maker(next(atom for atom in highest.invars if not isinstance(atom, Literal)))
        is_shifted = _is(highest, "reduce_max") and self.same(highest.invars[0], values)
        return values if is_shifted else exponent

    def inside(self, equation: JaxprEqn, output: Any) -> Found | None:
        """Style into an equation that holds others, for a head that reads one of its inputs as it is."""
        jaxpr = held(equation).jaxpr
        found = _Reader(jaxpr, self._classes).head_of(jaxpr.outvars[list(equation.outvars).index(output)])
        if found is None or found[1] not in jaxpr.invars:
            return None
        return found[0], equation.invars[list(jaxpr.invars).index(found[1])]

    def same(self, one: Any, other: Any) -> bool:
        return self.behind(one) is self.behind(other)

    def behind(self, atom: Any, *, repeated: bool = False) -> Any:
        """Return what stands behind equations that keep the order of values; `repeated`: and may repeat them."""
        while (equation := self.maker(atom)) is not None and _keeps_order(equation, repeated):
            atom = equation.invars[0]
        return atom

    def maker(self, atom: Any) -> Any:
        """Return the equation that makes this; None for inputs and numbers."""
        return None if isinstance(atom, Literal) else self._makers.get(atom)


def _keeps_order(equation: JaxprEqn, repeated: bool) -> bool:
    if equation.primitive.name != BROADCAST:
        return equation.primitive.name in ORDER_KEEPING
    given, made = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return repeated or math.prod(given) == math.prod(made)


def _is(equation: JaxprEqn | None, name: str) -> bool:
    return equation is not None and equation.primitive.name == name
