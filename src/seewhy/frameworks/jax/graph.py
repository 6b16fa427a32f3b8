"""A model's forward pass as a jaxpr, JAX's list of equations: written down once, cut in two at a layer, and run.

Where a layer's output is to be found again, a mark is left in the list. A mark computes nothing, so it may stay in
whatever else JAX keeps of the trace. A cut list has a trunk, which makes the layer's output, and a head, which makes
the model's outputs of it.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import SymbolicZero
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from seewhy.types import Tensor

Run = Callable[..., list[Tensor]]
"""Takes flat arrays, gives flat arrays."""

Perform = Callable[[JaxprEqn, Sequence[Tensor]], Sequence[Tensor]]
"""What an equation makes of its inputs."""

INLINED = {"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"}
"""Equations that only hold other equations: what they hold may as well stand in the open."""

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
"""The activations that JAX gives as jitted functions, by their names. They are held together, to be told later."""

MARK = "name"
"""What JAX calls the equation that `mark` leaves."""

PASSING = {MARK, "convert_element_type", "copy"}
"""Equations that hand every value on."""

INPUTS = -1
"""Where to cut so that all of the model is the head: before the first equation."""

_numbers = itertools.count()


class Split(NamedTuple):
    """A jaxpr in two: `trunk(*inputs)` gives the marked array and what else the head needs, `head(*those)` the rest.

    The head is what depends on the marked array, and nothing else.
    """

    trunk: Run
    head: Run


def mark(array: Tensor, name: str) -> Tensor:
    """Return the array, which `position_of(jaxpr, name)` finds again."""
    return checkpoint_name(array, name)


def trace(function: Callable[..., Any], *arrays: Any) -> ClosedJaxpr:
    """Write down what `function` does with arrays of these shapes, with every inner `jax.jit` in the open.

    JAX does not run a jitted Python function that it has run before, and then no layer in it would be heard. Metadata
    that differs from trace to trace makes it run them all.
    """
    with set_xla_metadata(seewhy=str(next(_numbers))):
        closed = jax.make_jaxpr(function)(*arrays)
    return jax.make_jaxpr(run(closed, closed.jaxpr.outvars))(*closed.in_avals)


def position_of(jaxpr: Jaxpr, name: str, shape: tuple[int, ...]) -> int | None:
    """Return which equation is the mark `name`; None if it stands inside a loop, a branch or a vmap, or nowhere."""
    for position, equation in enumerate(jaxpr.eqns):
        if equation.primitive.name == MARK and equation.params["name"] == name:
            # Under a vmap there is an axis more than the layer knows of.
            return position if equation.outvars[0].aval.shape == shape else None
    return None


def position_of_sum(jaxpr: Jaxpr, array: Any, axes: set[int], outputs: Sequence[Any]) -> int | None:
    """Return which equation adds an array up over these axes; None if `outputs` depend on it in another way."""
    while array not in outputs:
        readers = [
            position for position, equation in enumerate(jaxpr.eqns) if any(atom is array for atom in equation.invars)
        ]
        if len(readers) != 1:
            return None
        equation = jaxpr.eqns[readers[0]]
        if equation.primitive.name == "reduce_sum":
            return readers[0] if set(equation.params["axes"]) == axes else None
        if equation.primitive.name not in PASSING:
            return None
        (array,) = equation.outvars
    return None


def run(closed: ClosedJaxpr, outputs: Sequence[Any], perform: Perform | None = None) -> Run:
    """Return a function of the jaxpr's inputs that gives these of its variables.

    `perform` runs its equations where they are not to be run as they are.
    """
    return _Part(closed.jaxpr.invars, closed.jaxpr.eqns, outputs, _constants(closed), perform or perform_as_is)


def split(closed: ClosedJaxpr, position: int, outputs: Sequence[Any], perform: Perform | None = None) -> Split:
    """Cut a jaxpr behind the equation at `position`, for a head that gives `outputs`.

    At `INPUTS` the trunk gives the last of the jaxpr's inputs, which is the model's. `perform` runs the head's
    equations where they are not to be run as they are.
    """
    before, later = list(closed.jaxpr.eqns[: position + 1]), closed.jaxpr.eqns[position + 1 :]
    tapped = tapped_at(closed.jaxpr, position)
    made, after = {tapped}, []
    for equation in later:  # what only stands behind the layer, such as a branch beside it, is still the trunk's
        if made.isdisjoint(atom for atom in equation.invars if not isinstance(atom, Literal)):
            before.append(equation)
        else:
            after.append(equation)
            made.update(equation.outvars)
    read = [*(atom for equation in after for atom in equation.invars), *outputs]
    # What passes by the layer: a skip connection, the weights of what follows.
    passing = list(dict.fromkeys(atom for atom in read if not isinstance(atom, Literal) and atom not in made))
    trunk = _Part(closed.jaxpr.invars, before, [tapped, *passing], _constants(closed))
    return Split(trunk, _Part([tapped, *passing], after, outputs, {}, perform or perform_as_is))


def tapped_at(jaxpr: Jaxpr, position: int) -> Var:
    """Return the variable at which a jaxpr is cut."""
    return jaxpr.invars[-1] if position == INPUTS else jaxpr.eqns[position].outvars[0]


def perform_as_is(equation: JaxprEqn, arrays: Sequence[Tensor]) -> Sequence[Tensor]:
    """Run an equation."""
    primitive = equation.primitive
    if primitive.name in INLINED and equation.params.get("name") not in ACTIVATIONS:
        inner = held(equation)
        return run(inner, inner.jaxpr.outvars)(*arrays)
    # Functions that the equation holds, such as a derivative of its own, come apart from the rest in older JAX.
    bound = primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)
    made = primitive.bind(*functions, *arrays, **parameters)
    return made if primitive.multiple_results else [made]


def held(equation: JaxprEqn) -> ClosedJaxpr:
    """Return the equations that an equation holds; it is one of those that hold some."""
    inner: Any = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


def depends(function: Callable[[Tensor], Tensor], array: Any) -> bool:
    """Whether `function` has a derivative by `array`, be it 0 in value: the equations say so, not the numbers."""
    found: list[bool] = []
    probe = jax.custom_jvp(lambda value: value)

    def derive(values: tuple[Tensor], tangents: tuple[Any]) -> tuple[Tensor, Any]:
        found.append(not isinstance(tangents[0], SymbolicZero))
        return values[0], tangents[0]

    probe.defjvp(derive, symbolic_zeros=True)
    jax.eval_shape(lambda at: jax.jvp(lambda value: probe(function(value)), (at,), (at,)), array)
    return any(found)


@dataclass(frozen=True)
class _Part:
    """Some of a jaxpr's equations, as a function."""

    inputs: Sequence[Var]
    equations: Sequence[JaxprEqn]
    outputs: Sequence[Any]
    constants: dict[Var, Tensor]
    perform: Perform = perform_as_is

    def __call__(self, *arrays: Tensor) -> list[Tensor]:
        values = {**self.constants, **dict(zip(self.inputs, arrays, strict=True))}

        def read(atoms: Iterable[Any]) -> list[Tensor]:
            return [atom.val if isinstance(atom, Literal) else values[atom] for atom in atoms]

        for equation in self.equations:
            values.update(zip(equation.outvars, self.perform(equation, read(equation.invars)), strict=True))
        return read(self.outputs)


def _constants(closed: ClosedJaxpr) -> dict[Var, Tensor]:
    return dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
