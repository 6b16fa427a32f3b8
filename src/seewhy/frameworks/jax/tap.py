"""The tap on JAX: a traced model with a mark at every layer's output."""

from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import keras

from seewhy.errors import LayerError
from seewhy.frameworks.jax.logits import bypass_final_activation
from seewhy.frameworks.jax.trunk_and_head import (
    MARK,
    ClosedJaxpr,
    Literal,
    Var,
    carrying_variables,
    mark,
    mark_position,
    tapped_variable,
    variable_origins,
)
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.layers import INPUT, LayerCall
from seewhy.frameworks.outputs import Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.structures import ArrayTree, InputBatch, map_tree
from seewhy.targets import Objective
from seewhy.targets.target import Shape
from seewhy.types import FinalActivation, NativeTensor


@final
class Marker(KerasRecorder):
    """Marks every layer output that has spatial positions."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        call = self.add_call(path, layer, output, arguments)
        if not call.has_space:
            return output
        marked = mark(output, mark_name(call))
        self.shapes[mark_name(call)] = tuple(marked.shape)
        self.add_output(marked, call)  # a pass-through layer receives the marked array
        return marked


@final
class OutputStructure:
    """Records the structure of a model's outputs, and flattens them."""

    structure: ArrayTree = None

    def flatten(self, raw: ArrayTree) -> list[NativeTensor]:
        arrays: list[NativeTensor] = []

        def position(value: Any) -> int | type:
            if not keras.ops.is_tensor(value):
                return type(value)
            arrays.append(value)
            return len(arrays) - 1

        self.structure = map_tree(position, raw)
        return arrays


@final
class TracedModel(NamedTuple):
    """A model's forward pass for one shape of input.

    Attributes:
        jaxpr: From the variables' values and the inputs to the outputs.
        variables: The model's variables.
        calls: Every call of every layer.
        shapes: The shape of each marked output, by the name of its mark.
        structure: The model's outputs: a tensor's position among the jaxpr's outputs, or the type of any other value.
        input_order: For each input among the jaxpr's, its position among `leaves`.
    """

    jaxpr: ClosedJaxpr
    variables: list[Any]
    calls: tuple[LayerCall, ...]
    shapes: dict[str, tuple[int, ...]]
    structure: ArrayTree
    input_order: tuple[int, ...]

    @property
    def has_float16(self) -> bool:
        """Whether anything is computed in float16."""
        computed = [variable for equation in self.jaxpr.jaxpr.eqns for variable in equation.outvars]
        return any(getattr(variable.aval, "dtype", None) == jnp.float16 for variable in computed)

    def flat(self, inputs: InputBatch) -> list[NativeTensor]:
        """Return the arguments of the trace: the current values of the variables, and the inputs."""
        return [*(variable.value for variable in self.variables), *jax.tree.leaves(inputs)]

    def select_outputs(self, objective: Objective) -> SelectedOutputs:
        """Select the variables of the trace that an objective reads."""
        variables = self.jaxpr.jaxpr.outvars
        tree = map_tree(lambda value: variables[value] if isinstance(value, int) else value, self.structure)
        return select_outputs(
            tree,
            objective,
            is_tensor=lambda value: isinstance(value, (Var, Literal)),
            bypass_final_activation=lambda raw: bypass_final_activation(self.jaxpr.jaxpr, raw),
            read=_read,
        )

    def is_bypassed(self, call: LayerCall, selected: SelectedOutputs) -> bool:
        """Whether a path from the inputs to the selected outputs bypasses a call's output."""
        return tapped_variable(self.jaxpr.jaxpr, self.position(call)) not in self.carriers(selected)

    def carriers(self, selected: SelectedOutputs) -> frozenset[Any]:
        """Return the variables that no path from the inputs to the selected outputs bypasses."""
        images = len(self.jaxpr.jaxpr.invars) - len(self.variables)
        return carrying_variables(self.jaxpr, images, selected.tensors)

    def origins(self) -> dict[str, frozenset[int]]:
        """Return for the mark of each output the inputs that it is computed from, by their positions among `leaves`."""
        found = variable_origins(self.jaxpr, len(self.input_order))
        return {
            equation.params["name"]: frozenset(self.input_order[each] for each in found.get(equation.outvars[0], ()))
            for equation in self.jaxpr.jaxpr.eqns
            if equation.primitive.name == MARK
        }

    def input_position(self, leaf: int) -> int:
        """Return the position that stands for an input: below 0, counted from the last of the jaxpr's inputs."""
        return self.input_order.index(leaf) - len(self.input_order)

    def position(self, call: LayerCall) -> int:
        """Return the position of the equation that computes a call's output."""
        if call.path == INPUT:
            return self.input_position(call.execution - 1)
        name = mark_name(call)
        position = mark_position(self.jaxpr.jaxpr, name, self.shapes[name])
        if position is None:
            raise LayerError(
                f"The layer {call.path!r} runs inside a loop, a branch, a vmap or a custom derivative of the model's "
                "own, where its output cannot be reached. Give a layer outside of it."
            )
        return position


def mark_name(call: LayerCall) -> str:
    """Return the name of the mark on a call's output."""
    return f"{call.path}#{call.execution}"


def _read(raw: NativeTensor, logits: NativeTensor, activation: FinalActivation, tree: ArrayTree) -> Outputs:
    return Outputs.read(raw, logits.reshape(raw.shape).astype(jnp.float32), activation, keras.ops, tree)


def output_facts(selected: SelectedOutputs) -> tuple[Shape | None, FinalActivation | None]:
    """Return the shape of the selected output and its final activation; None where no single output is selected."""
    facts: list[tuple[Shape | None, FinalActivation | None]] = []

    def read(*arrays: NativeTensor) -> None:
        outputs = selected.read(arrays)
        facts.append((outputs.shape, outputs.activation))

    jax.eval_shape(read, *(variable.aval for variable in selected.tensors))
    return facts[0]
