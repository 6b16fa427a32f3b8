"""The logits before a model's final activation, found in a jaxpr.

JAX has a primitive for the sigmoid but none for the softmax, which is exp(x - max x) / sum(exp(x - max x)), nor for its
logarithm, (x - max x) - log(sum(exp(x - max x))). These equations are recognised, whoever wrote them.
"""

import math
from typing import Any

from seewhy.frameworks.jax.trunk_and_head import (
    Atom,
    Jaxpr,
    JaxprEqn,
    Literal,
    inline,
    inner_jaxpr,
)
from seewhy.types import FinalActivation

ORDER_PRESERVING = {"convert_element_type", "reshape", "squeeze", "expand_dims", "copy", "stop_gradient", "name"}
"""Primitives that keep the order of the values."""

BROADCAST = "broadcast_in_dim"
"""The primitive that repeats values; where it repeats none, it only adds axes and keeps the order."""

CUSTOM_DERIVATIVES = {"custom_jvp_call", "custom_vjp_call"}
"""Primitives that contain inner equations because they have a custom derivative."""

ActivationAndLogits = tuple[FinalActivation, Atom]


def bypass_final_activation(jaxpr: Jaxpr, output: Atom) -> ActivationAndLogits:
    """Return the model's final activation and the variable of its logits; `output` itself for a linear output.

    The logits have as many values as the output, in the same order; their shape and type may differ.
    """
    reader = _FinalActivationReader(jaxpr, _class_count(output))
    return reader.final_activation(output) or ("logits" if reader.is_product(output) else "linear", output)


def hidden_activations(jaxpr: Jaxpr) -> list[JaxprEqn]:
    """Return the equations with a custom derivative that compute both an output's logits and its final activation.

    Their logits can be read only after these equations are inlined.
    """
    found = []
    for output in jaxpr.outvars:
        reader = _FinalActivationReader(jaxpr, _class_count(output))
        last = reader.producer(source := reader.source(output))
        if last is None or last.primitive.name not in CUSTOM_DERIVATIVES or reader.final_activation(output) is not None:
            continue
        inner = inline(inner_jaxpr(last)).jaxpr
        inner_output = inner.outvars[list(last.outvars).index(source)]
        if _FinalActivationReader(inner, _class_count(output)).final_activation(inner_output) or hidden_activations(
            inner
        ):
            found.append(last)
    return found


def _class_count(output: Atom) -> int | None:
    """Return the number of classes, C; None for outputs that are not (N, C)."""
    shape = output.aval.shape
    return shape[1] if len(shape) == 2 else None


class _FinalActivationReader:
    """Recognises final activations in a jaxpr, from its outputs to its inputs.

    Args:
        jaxpr: The traced model.
        classes: The number of classes, C; None for outputs that are not (N, C).
    """

    def __init__(self, jaxpr: Jaxpr, classes: int | None) -> None:
        self._jaxpr, self._classes = jaxpr, classes
        self._producers = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}

    def final_activation(self, output: Atom) -> ActivationAndLogits | None:
        output = self.source(output)
        last = self.producer(output)
        if last is None:
            return None
        if last.primitive.name == "logistic":
            return "sigmoid", last.invars[0]
        if last.primitive.name == "div":
            return self.softmax(*last.invars)
        if last.primitive.name == "sub":
            return self.log_softmax(*last.invars)
        return self.inner_activation(last, output) if last.primitive.name in CUSTOM_DERIVATIVES else None

    def is_product(self, output: Atom) -> bool:
        """Whether the output (N, C) is a matrix product, with or without a bias, of other values than a softmax's."""
        last = self.producer(self.source(output))
        if _is(last, "add"):
            operands = [self.source(atom, repeated=True) for atom in last.invars]
            products = [atom for atom in operands if len(atom.aval.shape) == 2]
            last = self.producer(products[0]) if len(products) == 1 else None
        if not _is(last, "dot_general") or len(last.outvars[0].aval.shape) != 2:
            return False
        factors = _FinalActivationReader(self._jaxpr, None)
        return all(factors.final_activation(atom) is None for atom in last.invars)

    def softmax(self, numerator: Atom, denominator: Atom) -> ActivationAndLogits | None:
        """Read `exp(x) / sum(exp(x))`."""
        exponential = self.producer(self.source(numerator))
        if not _is(exponential, "exp") or not self.is_sum_of(denominator, exponential.invars[0]):
            return None
        return "softmax", self.unshifted(exponential.invars[0])

    def log_softmax(self, shifted: Atom, normaliser: Atom) -> ActivationAndLogits | None:
        """Read `x - log(sum(exp(x)))`."""
        logarithm = self.producer(self.source(normaliser, repeated=True))
        if not _is(logarithm, "log") or not self.is_sum_of(logarithm.invars[0], shifted):
            return None
        return "softmax", self.unshifted(shifted)

    def is_sum_of(self, total: Atom, exponent: Atom) -> bool:
        """Whether `total` is the sum of exp(exponent) over the last axis, and that axis is the classes'."""
        summation = self.producer(self.source(total, repeated=True))
        if not _is(summation, "reduce_sum"):
            return False
        shape = summation.invars[0].aval.shape
        if tuple(summation.params["axes"]) != (len(shape) - 1,) or self._classes not in (None, shape[-1]):
            return False
        exponential = self.producer(self.source(summation.invars[0]))
        return _is(exponential, "exp") and exponential.invars[0] is exponent

    def unshifted(self, exponent: Atom) -> Atom:
        """Return x for an exponent `x - max x`, and any other exponent as it is."""
        difference = self.producer(self.source(exponent))
        if not _is(difference, "sub"):
            return exponent
        values, shift = difference.invars
        maximum = self.producer(self.source(shift, repeated=True))
        if _is(maximum, "max"):  # of that maximum and the lowest value, which is the maximum of no values
            maximum = self.producer(next(atom for atom in maximum.invars if not isinstance(atom, Literal)))
        is_shifted = _is(maximum, "reduce_max") and self.same(maximum.invars[0], values)
        return values if is_shifted else exponent

    def inner_activation(self, equation: JaxprEqn, output: Atom) -> ActivationAndLogits | None:
        """Recognise a final activation inside an equation with a custom derivative, applied to one of its inputs."""
        jaxpr = inner_jaxpr(equation).jaxpr
        inner_output = jaxpr.outvars[list(equation.outvars).index(output)]
        inner = _FinalActivationReader(jaxpr, self._classes).final_activation(inner_output)
        if inner is None or inner[1] not in jaxpr.invars:
            return None
        activation, logits = inner
        return activation, equation.invars[list(jaxpr.invars).index(logits)]

    def same(self, first: Atom, second: Atom) -> bool:
        """Whether two atoms have one source."""
        return self.source(first) is self.source(second)

    def source(self, atom: Atom, *, repeated: bool = False) -> Atom:
        """Return an atom before equations that keep the order of the values; with `repeated`, before repeats too."""
        while (equation := self.producer(atom)) is not None and _keeps_order(equation, repeated):
            atom = equation.invars[0]
        return atom

    def producer(self, atom: Atom) -> Any:
        """Return the equation that produces an atom; None for inputs and literals."""
        return None if isinstance(atom, Literal) else self._producers.get(atom)


def _keeps_order(equation: JaxprEqn, repeated: bool) -> bool:
    if equation.primitive.name != BROADCAST:
        return equation.primitive.name in ORDER_PRESERVING
    input_shape, output_shape = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return repeated or math.prod(input_shape) == math.prod(output_shape)


def _is(equation: JaxprEqn | None, name: str) -> bool:
    return equation is not None and equation.primitive.name == name
