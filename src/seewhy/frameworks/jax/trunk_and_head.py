"""A model's forward pass as a jaxpr, traced once, split at a layer into trunk and head, and evaluated.

A mark in the jaxpr names each layer's output. A mark computes nothing, so it may stay in traces that JAX caches. The
trunk computes the layer's output, and the head the model's outputs from it.

Only this file imports from `jax.extend` and `jax.experimental`, which are public without a promise of compatibility.
The names are the same in JAX 0.5 to 0.10; `pyproject.toml` requires 0.5 or newer (decision 0001).
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import SymbolicZero
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr as ClosedJaxpr
from jax.extend.core import Jaxpr as Jaxpr
from jax.extend.core import JaxprEqn as JaxprEqn
from jax.extend.core import Literal as Literal
from jax.extend.core import Var as Var

from seewhy.frameworks.dataflow import Operation, carriers, origins
from seewhy.types import NativeTensor

JaxprFunction = Callable[..., list[NativeTensor]]
"""A function from flat arrays to flat arrays."""

EvaluateEquation = Callable[[JaxprEqn, Sequence[NativeTensor]], Sequence[NativeTensor]]
"""Computes an equation's outputs from its inputs."""

Atom: TypeAlias = Var | Literal
"""An input or output of an equation."""

INLINED = {"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"}
"""Primitives that only contain other equations, which are inlined."""

ACTIVATIONS = {
    "celu": "CELU",
    "elu": "ELU",
    "gelu": "GELU",
    "glu": "GLU",
    "hard_sigmoid": "hard sigmoid",
    "hard_silu": "hard SiLU (hard swish)",
    "hard_tanh": "hard tanh",
    "leaky_relu": "leaky ReLU",
    "log_sigmoid": "log sigmoid",
    "mish": "Mish",
    "selu": "SELU",
    "silu": "SiLU (swish)",
    "soft_sign": "softsign",
    "softplus": "softplus",
    "squareplus": "squareplus",
}
"""The activations that are jitted functions of JAX, by name. They are not inlined, so that they can be recognised."""

MARK = "name"
"""The primitive of a mark."""

_trace_numbers = itertools.count()


class JaxprSplit(NamedTuple):
    """A jaxpr as two functions.

    Attributes:
        trunk: `trunk(*inputs)` returns the tapped array and the arrays that bypass it.
        head: `head(tapped, *bypass)` returns the outputs. Its equations are those that depend on the tapped array.
    """

    trunk: JaxprFunction
    head: JaxprFunction


def mark(array: NativeTensor, name: str) -> NativeTensor:
    """Return the array with a mark that `mark_position` finds."""
    return checkpoint_name(array, name)


def trace(function: Callable[..., Any], *arrays: Any) -> ClosedJaxpr:
    """Trace a function for arrays of these shapes, and inline every inner `jax.jit`.

    JAX caches the trace of a jitted function and does not run its Python again, so that the calls of layers in it would
    not be recorded. Metadata that differs in every trace disables that cache.
    """
    with set_xla_metadata(seewhy=str(next(_trace_numbers))):
        closed = jax.make_jaxpr(function)(*arrays)
    return inline(closed)


def inline(closed: ClosedJaxpr, equations: Iterable[JaxprEqn] = ()) -> ClosedJaxpr:
    """Return the jaxpr with the equations that others contain in their place: those of `INLINED`, and those given."""
    chosen = {id(equation) for equation in equations}

    def evaluate(equation: JaxprEqn, arrays: Sequence[NativeTensor]) -> Sequence[NativeTensor]:
        if id(equation) not in chosen:
            return evaluate_equation(equation, arrays)
        inner = inner_jaxpr(equation)
        return as_function(inner, inner.jaxpr.outvars)(*arrays)

    return jax.make_jaxpr(as_function(closed, closed.jaxpr.outvars, evaluate))(*closed.in_avals)


def mark_position(jaxpr: Jaxpr, name: str, shape: tuple[int, ...]) -> int | None:
    """Return the position of the mark `name`; None if it is inside a loop, a branch or a vmap, or missing."""
    for position, equation in enumerate(jaxpr.eqns):
        if equation.primitive.name == MARK and equation.params["name"] == name:
            # Under a vmap the array has one more axis than the layer's output.
            return position if equation.outvars[0].aval.shape == shape else None
    return None


def as_function(
    closed: ClosedJaxpr, outputs: Sequence[Atom], evaluate: EvaluateEquation | None = None
) -> JaxprFunction:
    """Return a function from the jaxpr's inputs to some of its variables.

    Args:
        closed: The jaxpr.
        outputs: The variables that the function returns.
        evaluate: Evaluates the equations; `evaluate_equation` by default.
    """
    evaluate = evaluate or evaluate_equation
    return _EquationList(closed.jaxpr.invars, closed.jaxpr.eqns, outputs, _constants(closed), evaluate)


def split(
    closed: ClosedJaxpr, position: int, outputs: Sequence[Atom], evaluate: EvaluateEquation | None = None
) -> JaxprSplit:
    """Split a jaxpr after the equation at `position`.

    Args:
        closed: The jaxpr.
        position: The position of an equation. Below 0, that of one of the jaxpr's inputs, counted from the last: the
            trunk returns this input, and all that depends on it is the head.
        outputs: The variables that the head returns.
        evaluate: Evaluates the head's equations; `evaluate_equation` by default.
    """
    start = max(position + 1, 0)
    trunk_equations, following = list(closed.jaxpr.eqns[:start]), closed.jaxpr.eqns[start:]
    tapped = tapped_variable(closed.jaxpr, position)
    dependents, head_equations = {tapped}, []
    for equation in following:  # those that do not depend on the layer, such as a parallel branch, belong to the trunk
        if dependents.isdisjoint(variables(equation)):
            trunk_equations.append(equation)
        else:
            head_equations.append(equation)
            dependents.update(equation.outvars)
    read = [*(atom for equation in head_equations for atom in equation.invars), *outputs]
    # The arrays that bypass the layer: skip connections, and the weights of the head.
    bypass = list(dict.fromkeys(atom for atom in read if not isinstance(atom, Literal) and atom not in dependents))
    trunk = _EquationList(closed.jaxpr.invars, trunk_equations, [tapped, *bypass], _constants(closed))
    head = _EquationList([tapped, *bypass], head_equations, outputs, {}, evaluate or evaluate_equation)
    return JaxprSplit(trunk, head)


def carrying_variables(closed: ClosedJaxpr, images: int, outputs: Sequence[Atom]) -> frozenset[Any]:
    """Return the variables that no path from the last `images` inputs to the outputs bypasses."""
    operations = [Operation(tuple(variables(each)), each.outvars) for each in closed.jaxpr.eqns]
    results = [atom for atom in outputs if not isinstance(atom, Literal)]
    return carriers(operations, closed.jaxpr.invars[len(closed.jaxpr.invars) - images :], results)


def variable_origins(closed: ClosedJaxpr, images: int) -> dict[Any, frozenset[int]]:
    """Return for variables that depend on the last `images` inputs the positions of those that they depend on."""
    operations = [Operation(tuple(variables(each)), each.outvars) for each in closed.jaxpr.eqns]
    return origins(operations, closed.jaxpr.invars[len(closed.jaxpr.invars) - images :])


def tapped_variable(jaxpr: Jaxpr, position: int) -> Var:
    """Return the variable at which a jaxpr is split; the position is as for `split`."""
    return jaxpr.invars[position] if position < 0 else jaxpr.eqns[position].outvars[0]


def evaluate_equation(equation: JaxprEqn, arrays: Sequence[NativeTensor]) -> Sequence[NativeTensor]:
    """Compute an equation's outputs as JAX does."""
    primitive = equation.primitive
    if primitive.name in INLINED and equation.params.get("name") not in ACTIVATIONS:
        inner = inner_jaxpr(equation)
        return as_function(inner, inner.jaxpr.outvars)(*arrays)
    # Older JAX returns an equation's functions, such as a custom derivative, apart from its other parameters.
    bound = primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)
    results = primitive.bind(*functions, *arrays, **parameters)
    return results if primitive.multiple_results else [results]


def inner_jaxpr(equation: JaxprEqn) -> ClosedJaxpr:
    """Return the jaxpr inside an equation whose primitive is in `INLINED` or has a custom derivative."""
    inner: Any = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


def variables(equation: JaxprEqn) -> set[Var]:
    """Return the variables among an equation's inputs."""
    return {atom for atom in equation.invars if not isinstance(atom, Literal)}


def has_custom_backward(equations: Iterable[JaxprEqn]) -> bool:
    """Whether equations, or those inside them, have a `jax.custom_vjp`, which cannot be differentiated forward."""
    for equation in equations:
        values = equation.params.values()
        inner = [value.jaxpr if isinstance(value, ClosedJaxpr) else value for value in values]
        if equation.primitive.name.startswith("custom_vjp"):
            return True
        if any(isinstance(jaxpr, Jaxpr) and has_custom_backward(jaxpr.eqns) for jaxpr in inner):
            return True
    return False


def has_derivative(function: Callable[[NativeTensor], NativeTensor], array: NativeTensor) -> bool:
    """Whether a function has a derivative by `array`, by its equations: a derivative whose value is 0 counts."""
    is_nonzero: list[bool] = []
    probe = jax.custom_jvp(lambda value: value)

    def derive(values: tuple[NativeTensor], tangents: tuple[Any]) -> tuple[NativeTensor, Any]:
        is_nonzero.append(not isinstance(tangents[0], SymbolicZero))
        return values[0], tangents[0]

    probe.defjvp(derive, symbolic_zeros=True)
    jax.eval_shape(lambda at: jax.jvp(lambda value: probe(function(value)), (at,), (at,)), array)
    return any(is_nonzero)


@dataclass(frozen=True)
class _EquationList:
    """Some of a jaxpr's equations as a function."""

    inputs: Sequence[Var]
    equations: Sequence[JaxprEqn]
    outputs: Sequence[Atom]
    constants: dict[Var, NativeTensor]
    evaluate: EvaluateEquation = evaluate_equation

    def __call__(self, *arrays: NativeTensor) -> list[NativeTensor]:
        values = {**self.constants, **dict(zip(self.inputs, arrays, strict=True))}

        def read(atoms: Iterable[Atom]) -> list[NativeTensor]:
            return [atom.val if isinstance(atom, Literal) else values[atom] for atom in atoms]

        for equation in self.equations:
            values.update(zip(equation.outvars, self.evaluate(equation, read(equation.invars)), strict=True))
        return read(self.outputs)


def _constants(closed: ClosedJaxpr) -> dict[Var, NativeTensor]:
    return dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
