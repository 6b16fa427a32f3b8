"""Guided backpropagation on JAX: what the ReLUs between the tap and the logits let back.

The model's equations tell which are ReLUs, whoever wrote them: `max(x, 0)`, with or without `min(x, 6)` after it.
They are performed with a derivative of ours; all others as they are.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from seewhy.frameworks.guided import HARD_SIGMOID, PRELU, WHERE, NonRelu, check_non_relu
from seewhy.frameworks.jax.graph import ACTIVATIONS, INLINED, MARK, Perform, held, perform_as_is, tapped_at
from seewhy.frameworks.jax.logits import BROADCAST, CUSTOM, ORDER_KEEPING
from seewhy.types import GradientRule, Tensor

OTHERS = {
    "erf": "GELU",
    "erfc": "GELU",
    "exp": "exponential or softmax",
    "expm1": "ELU",
    "logistic": "sigmoid",
    "tanh": "tanh",
}
"""Activations that are no ReLUs, by their primitive."""

LOOPS = {"cond": "branch", "scan": "loop", "while": "loop"}
"""Equations that run others in an order of their own; those cannot be performed otherwise than they are."""

SQRT_2_OVER_PI = 0.7978845608
"""What GELU's approximation multiplies by before its tanh."""


def guided(closed: ClosedJaxpr, position: int, logits: Any, gradient_rule: GradientRule) -> Perform:
    """Return how the equations behind the one at `position` are performed so that their ReLUs are guided.

    Raises:
        MethodError: There are activations that are no ReLUs, and gradients may not pass them as they are; or a loop
            or branch hides some.
    """
    reader = _Reader(closed, position)
    on_path = reader.on_path(logits)
    kinds = {id(equation): reader.other(equation) for equation in on_path}
    found = (
        NonRelu(kind, reader.layer(equation), is_hidden=equation.primitive.name in LOOPS)
        for equation in on_path
        if (kind := kinds[id(equation)]) is not None
    )
    check_non_relu(found, gradient_rule)
    relus = {
        id(equation): relu
        for equation in on_path
        if kinds[id(equation)] is None and (relu := reader.relu(equation)) is not None
    }

    def perform(equation: JaxprEqn, arrays: Sequence[Tensor]) -> Sequence[Tensor]:
        if id(equation) not in relus:
            return perform_as_is(equation, arrays)
        values, most = relus[id(equation)]
        return [_guided_relu(arrays[values], most)]

    return perform


def _guided_relu(values: Tensor, most: float) -> Tensor:
    """Cut values at 0, and at `most`, with the guided derivative."""

    def forward(values: Tensor) -> tuple[Tensor, Tensor]:
        split = jnp.maximum(values, 0)
        return (split if most == math.inf else jnp.minimum(split, most)), (values > 0) & (values < most)

    def backward(passes: Tensor, gradient: Tensor) -> tuple[Tensor]:
        return (jnp.where(passes & (gradient > 0), gradient, 0),)

    relu = jax.custom_vjp(lambda values: forward(values)[0])
    relu.defvjp(forward, backward)
    return relu(values)


Relu = tuple[int, float]
"""Which of an equation's inputs is cut at 0, and where else it is cut."""


class _Reader:
    """Reads what follows the tap."""

    def __init__(self, closed: ClosedJaxpr, position: int) -> None:
        jaxpr: Jaxpr = closed.jaxpr
        self._constants = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        self._after = jaxpr.eqns[position + 1 :]
        self._makers = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}
        self._later = {tapped_at(jaxpr, position)}
        for equation in self._after:
            if not self._later.isdisjoint(_variables(equation)):
                self._later.update(equation.outvars)

    def on_path(self, last: Any) -> list[JaxprEqn]:
        """Return the equations by which `last` depends on the tap, in order."""
        needed, found = {last}, []
        for equation in reversed(self._after):
            if not needed.isdisjoint(equation.outvars) and not self._later.isdisjoint(_variables(equation)):
                needed.update(_variables(equation))
                found.append(equation)
        return found[::-1]

    def layer(self, equation: JaxprEqn) -> str | None:
        """Return the layer whose output is marked next."""
        names = [each.params["name"] for each in self._after[self._after.index(equation) :] if _is(each, MARK)]
        return names[0].rpartition("#")[0] if names else None

    def relu(self, equation: JaxprEqn) -> Relu | None:
        """Read a ReLU; None for anything else."""
        if equation.primitive.name in CUSTOM:
            return _held_relu(equation)
        if not _is(equation, "max"):
            return None
        numbers = [self.number(atom) for atom in equation.invars]
        return (1 - numbers.index(0.0), math.inf) if 0.0 in numbers else None

    def other(self, equation: JaxprEqn) -> str | None:
        """Return the name of an activation that is no ReLU; None for a ReLU and for all that is no activation."""
        name = equation.primitive.name
        if name in INLINED:  # only what is called as an activation is still held together
            return ACTIVATIONS[equation.params["name"]]
        if (relu := self.relu(equation)) is not None:
            return self.other_relu(equation.invars[relu[0]], relu[1])
        if name == "max":
            least = next((number for number in map(self.number, equation.invars) if number is not None), -math.inf)
            return None if least == -math.inf else f"cut at {least:g}, which is not 0"
        if name == "select_n":
            return WHERE if equation.invars[0] in self._later else None
        if name == "tanh":
            factor = self._factor(equation.invars[0])
            return "GELU" if abs(factor - SQRT_2_OVER_PI) < 1e-3 else "tanh"
        return OTHERS.get(name) or next(_held_others(equation), None)

    def other_relu(self, values: Any, most: float) -> str | None:
        """Tell apart what is written with ReLUs: hard sigmoids, `relu6(x + 3) / 6`; PReLUs, `relu(x) - a relu(-x)`."""
        maker = self._makers.get(values)
        if most == 6 and maker is not None and _is(maker, "add") and 3.0 in map(self.number, maker.invars):
            return HARD_SIGMOID
        if most != math.inf:
            return None
        negated = {each.outvars[0] for each in self._after if _is(each, "neg") and each.invars[0] is values}
        takers = (each for each in self._after if not negated.isdisjoint(_variables(each)))
        beside = any(self.relu(each) is not None for each in takers)
        return PRELU if beside or (maker is not None and _is(maker, "neg")) else None

    def number(self, atom: Any) -> float | None:
        """Return the value of a constant of one number, repeated or not; None for anything else."""
        while not isinstance(atom, Literal) and (maker := self._makers.get(atom)) is not None:
            if maker.primitive.name not in ORDER_KEEPING | {BROADCAST}:
                return None
            atom = maker.invars[0]
        value = atom.val if isinstance(atom, Literal) else self._constants.get(atom)
        return float(np.reshape(value, ())) if value is not None and np.size(value) == 1 else None

    def _factor(self, atom: Any) -> float:
        """Return the number that was multiplied by last; NaN for none."""
        maker = self._makers.get(atom)
        if maker is None or not _is(maker, "mul"):
            return math.nan
        return next((number for number in map(self.number, maker.invars) if number is not None), math.nan)


def _held_relu(equation: JaxprEqn) -> Relu | None:
    """Read `jax.nn.relu` and `jax.nn.relu6`, which hold their equations because their derivative is said apart."""
    inner = list(_open(held(equation).jaxpr))
    names = [each.primitive.name for each in inner]
    if names not in (["max"], ["max", "min"]) or len(equation.invars) != 1:
        return None
    zero, *most = (next((float(a.val) for a in each.invars if isinstance(a, Literal)), math.nan) for each in inner)
    return (0, most[0] if most else math.inf) if zero == 0 else None


def _held_others(equation: JaxprEqn) -> Iterator[str]:
    """Yield what a loop, a branch or a derivative said apart holds that would count in the open."""
    loop = LOOPS.get(equation.primitive.name)
    if loop is None and equation.primitive.name not in CUSTOM:
        return
    for each in _held(equation):
        name = each.primitive.name
        if loop is not None and (name in OTHERS or name == "max"):
            yield loop
        elif name in INLINED and each.params.get("name") in ACTIVATIONS:
            yield ACTIVATIONS[each.params["name"]]
        elif name in OTHERS:
            yield OTHERS[name]


def _held(equation: JaxprEqn) -> Iterator[JaxprEqn]:
    """Yield every equation held, at any depth."""
    for value in equation.params.values():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            inner = each.jaxpr if isinstance(each, ClosedJaxpr) else each
            if isinstance(inner, Jaxpr):
                for part in inner.eqns:
                    yield part
                    yield from _held(part)


def _open(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """Yield a jaxpr's equations, with those that only hold others opened."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in INLINED:
            yield from _open(held(equation).jaxpr)
        else:
            yield equation


def _variables(equation: JaxprEqn) -> set[Any]:
    return {atom for atom in equation.invars if not isinstance(atom, Literal)}


def _is(equation: JaxprEqn, name: str) -> bool:
    return bool(equation.primitive.name == name)
