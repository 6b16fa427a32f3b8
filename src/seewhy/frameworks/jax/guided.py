"""Guided backpropagation on JAX: the ReLUs between the tap and the logits get a custom derivative.

A jaxpr shows every ReLU, whoever wrote it: `max(x, 0)`, with or without `min(x, 6)` after it. These equations are
evaluated with the guided derivative, and all others as they are.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seewhy.frameworks.jax.logits import BROADCAST, CUSTOM_DERIVATIVES, ORDER_PRESERVING
from seewhy.frameworks.jax.trunk_and_head import (
    ACTIVATIONS,
    INLINED,
    MARK,
    Atom,
    ClosedJaxpr,
    EvaluateEquation,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    evaluate_equation,
    inner_jaxpr,
    tapped_variable,
    variables,
)
from seewhy.frameworks.non_relu import (
    HARD_SIGMOID,
    PRELU,
    SQRT_2_OVER_PI,
    WHERE,
    NonReluActivation,
    check_activations,
    clamp_name,
)
from seewhy.types import GradientRule, NativeTensor

NON_RELU_ACTIVATIONS = {
    "erf": "GELU",
    "erfc": "GELU",
    "exp": "exponential or softmax",
    "expm1": "ELU",
    "logistic": "sigmoid",
    "tanh": "tanh",
}
"""The name of each activation other than a ReLU, by its primitive."""

OPAQUE_PRIMITIVES = {"cond": "branch", "scan": "loop", "while": "loop"}
"""Primitives that run inner equations in a control flow of their own, where these cannot be replaced."""


class ReluEquation(NamedTuple):
    """A ReLU's equation.

    Attributes:
        operand: Which of the equation's inputs is clamped at 0.
        maximum: The upper bound: 6 for a ReLU6; infinite for a plain ReLU.
    """

    operand: int
    maximum: float


def guide_relus(closed: ClosedJaxpr, position: int, logits: Var, gradient_rule: GradientRule) -> EvaluateEquation:
    """Return how to evaluate the equations after the one at `position` so that their ReLUs are guided.

    Args:
        closed: The traced model.
        position: The position of the equation that computes the tapped array.
        logits: The variable of the logits.
        gradient_rule: Whether other activations are allowed.

    Raises:
        MethodError: There are other activations and the rule does not allow them, or a loop or branch may contain some.
    """
    reader = _HeadReader(closed, position)
    head = reader.equations_to(logits)
    names = {id(equation): reader.non_relu_name(equation) for equation in head}
    check_activations(
        (
            NonReluActivation(name, reader.layer_of(equation), equation.primitive.name in OPAQUE_PRIMITIVES)
            for equation in head
            if (name := names[id(equation)]) is not None
        ),
        gradient_rule,
    )
    relus = {
        id(equation): relu
        for equation in head
        if names[id(equation)] is None and (relu := reader.relu(equation)) is not None
    }

    def evaluate(equation: JaxprEqn, arrays: Sequence[NativeTensor]) -> Sequence[NativeTensor]:
        if id(equation) not in relus:
            return evaluate_equation(equation, arrays)
        relu = relus[id(equation)]
        return [_guided_relu(arrays[relu.operand], relu.maximum)]

    return evaluate


def _guided_relu(values: NativeTensor, maximum: float) -> NativeTensor:
    """Clamp values at 0 and at `maximum`, with the guided derivative."""

    def forward(values: NativeTensor) -> tuple[NativeTensor, NativeTensor]:
        positive = jnp.maximum(values, 0)
        outputs = positive if maximum == math.inf else jnp.minimum(positive, maximum)
        return outputs, (values > 0) & (values < maximum)

    def backward(passes: NativeTensor, gradient: NativeTensor) -> tuple[NativeTensor]:
        return (jnp.where(passes & (gradient > 0), gradient, 0),)

    relu = jax.custom_vjp(lambda values: forward(values)[0])
    relu.defvjp(forward, backward)
    return relu(values)


class _HeadReader:
    """Finds ReLUs and other activations among the equations after the tap."""

    def __init__(self, closed: ClosedJaxpr, position: int) -> None:
        jaxpr: Jaxpr = closed.jaxpr
        self._constants = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        self._following = jaxpr.eqns[max(position + 1, 0) :]
        self._producers = _producers(jaxpr)
        self._dependents = {tapped_variable(jaxpr, position)}
        for equation in self._following:
            if not self._dependents.isdisjoint(variables(equation)):
                self._dependents.update(equation.outvars)

    def equations_to(self, last: Var) -> list[JaxprEqn]:
        """Return the equations through which `last` depends on the tap, in order."""
        needed, equations = {last}, []
        for equation in reversed(self._following):
            if not needed.isdisjoint(equation.outvars) and not self._dependents.isdisjoint(variables(equation)):
                needed.update(variables(equation))
                equations.append(equation)
        return equations[::-1]

    def layer_of(self, equation: JaxprEqn) -> str | None:
        """Return the layer of the next mark; None if no mark follows."""
        following = self._following[self._following.index(equation) :]
        names = [mark.params["name"] for mark in following if _is(mark, MARK)]
        return names[0].rpartition("#")[0] if names else None

    def relu(self, equation: JaxprEqn) -> ReluEquation | None:
        """Read a ReLU; None for any other equation."""
        if equation.primitive.name in CUSTOM_DERIVATIVES:
            return _relu_with_custom_derivative(equation)
        if not _is(equation, "max"):
            return None
        numbers = [self.constant_value(atom) for atom in equation.invars]
        return ReluEquation(1 - numbers.index(0.0), math.inf) if 0.0 in numbers else None

    def non_relu_name(self, equation: JaxprEqn) -> str | None:
        """Return the name of an activation other than a ReLU; None for a ReLU and for any other operation."""
        name = equation.primitive.name
        if name in INLINED:  # of these, only the activations are not inlined
            return ACTIVATIONS[equation.params["name"]]
        if (relu := self.relu(equation)) is not None:
            return self.composed_name(equation.invars[relu.operand], relu.maximum)
        if name == "max":
            numbers = map(self.constant_value, equation.invars)
            bound = next((number for number in numbers if number is not None), -math.inf)
            return None if bound == -math.inf else clamp_name(bound)
        if name == "select_n":
            return WHERE if equation.invars[0] in self._dependents else None
        if name == "tanh":
            factor = self._factor(equation.invars[0])
            return "GELU" if abs(factor - SQRT_2_OVER_PI) < 1e-3 else "tanh"
        return NON_RELU_ACTIVATIONS.get(name) or next(_inner_activation_names(equation), None)

    def composed_name(self, values: Atom, maximum: float) -> str | None:
        """Name an activation composed of ReLUs: hard sigmoid, `relu6(x + 3) / 6`; PReLU, `relu(x) - a * relu(-x)`."""
        producer = self._producers.get(values)
        shift = producer.invars if producer is not None and _is(producer, "add") else ()
        if maximum == 6 and 3.0 in map(self.constant_value, shift):
            return HARD_SIGMOID
        if maximum != math.inf:
            return None
        negations = {
            equation.outvars[0] for equation in self._following if _is(equation, "neg") and equation.invars[0] is values
        }
        negations |= {mark.outvars[0] for mark in self._following if _is(mark, MARK) and mark.invars[0] in negations}
        consumers = (equation for equation in self._following if not negations.isdisjoint(variables(equation)))
        is_negated = any(self.relu(consumer) is not None for consumer in consumers)
        return PRELU if is_negated or (producer is not None and _is(producer, "neg")) else None

    def constant_value(self, atom: Atom) -> float | None:
        """Return the value of a constant with one element, broadcast or not; None for any other atom."""
        while not isinstance(atom, Literal) and (producer := self._producers.get(atom)) is not None:
            if producer.primitive.name not in ORDER_PRESERVING | {BROADCAST}:
                return None
            atom = producer.invars[0]
        value = atom.val if isinstance(atom, Literal) else self._constants.get(atom)
        return float(np.reshape(value, ())) if value is not None and np.size(value) == 1 else None

    def _factor(self, atom: Atom) -> float:
        """Return the constant factor of a product; NaN for any other atom."""
        producer = self._producers.get(atom)
        if producer is None or not _is(producer, "mul"):
            return math.nan
        numbers = map(self.constant_value, producer.invars)
        return next((number for number in numbers if number is not None), math.nan)


def _producers(jaxpr: Jaxpr) -> dict[Var, JaxprEqn]:
    """Return the equation that computes each variable; for the output of a mark, the one that computes its input."""
    producers: dict[Var, JaxprEqn] = {}
    for equation in jaxpr.eqns:
        source = producers.get(equation.invars[0]) if _is(equation, MARK) else None
        producers.update((variable, source or equation) for variable in equation.outvars)
    return producers


def _relu_with_custom_derivative(equation: JaxprEqn) -> ReluEquation | None:
    """Read `jax.nn.relu` and `jax.nn.relu6`, which contain inner equations because they have custom derivatives."""
    inner = list(_inlined_equations(inner_jaxpr(equation).jaxpr))
    names = [part.primitive.name for part in inner]
    if names not in (["max"], ["max", "min"]) or len(equation.invars) != 1:
        return None
    minimum, *maximum = (
        next((float(atom.val) for atom in part.invars if isinstance(atom, Literal)), math.nan) for part in inner
    )
    return ReluEquation(0, maximum[0] if maximum else math.inf) if minimum == 0 else None


def _inner_activation_names(equation: JaxprEqn) -> Iterator[str]:
    """Yield the names of the activations inside a loop, a branch or a custom derivative."""
    control_flow = OPAQUE_PRIMITIVES.get(equation.primitive.name)
    if control_flow is None and equation.primitive.name not in CUSTOM_DERIVATIVES:
        return
    for inner in _inner_equations(equation):
        name = inner.primitive.name
        if control_flow is not None and (name in NON_RELU_ACTIVATIONS or name == "max"):
            yield control_flow
        elif name in INLINED and inner.params.get("name") in ACTIVATIONS:
            yield ACTIVATIONS[inner.params["name"]]
        elif name in NON_RELU_ACTIVATIONS:
            yield NON_RELU_ACTIVATIONS[name]


def _inner_equations(equation: JaxprEqn) -> Iterator[JaxprEqn]:
    """Yield every equation inside an equation, at any depth."""
    for parameter in equation.params.values():
        for value in parameter if isinstance(parameter, (list, tuple)) else (parameter,):
            jaxpr = value.jaxpr if isinstance(value, ClosedJaxpr) else value
            if isinstance(jaxpr, Jaxpr):
                for inner in jaxpr.eqns:
                    yield inner
                    yield from _inner_equations(inner)


def _inlined_equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """Yield a jaxpr's equations, and those inside equations of `INLINED` instead of these."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in INLINED:
            yield from _inlined_equations(inner_jaxpr(equation).jaxpr)
        else:
            yield equation


def _is(equation: JaxprEqn, name: str) -> bool:
    return bool(equation.primitive.name == name)
