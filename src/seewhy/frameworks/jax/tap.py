"""The tap on JAX: a model traced with a mark at every layer's output."""

from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import keras
from jax.extend.core import ClosedJaxpr, Literal, Var

from seewhy.errors import LayerError
from seewhy.frameworks.jax.graph import INPUTS, mark, position_of
from seewhy.frameworks.jax.logits import bypass_final_activation
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.layers import INPUT, LayerCall
from seewhy.frameworks.outputs import FinalActivation, Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.structures import ArrayTree, Inputs, map_tree
from seewhy.targets import Objective
from seewhy.targets.target import Shape
from seewhy.types import Tensor


@final
class Marker(KerasRecorder):
    """Marks every output that could be explained."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[str, tuple[int, ...]] = {}

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        call = self.note(path, layer, output, arguments)
        if not call.has_space:
            return output
        marked = mark(output, mark_name(call))
        self.shapes[mark_name(call)] = tuple(marked.shape)
        self.remember(marked, call)  # a layer that hands it on is given the marked one
        return marked


@final
class ReturnedStructure:
    """Notes the structure of what the model returned, and lays its tensors flat."""

    structure: Any = None

    def note(self, raw: Any) -> list[Tensor]:
        arrays: list[Tensor] = []

        def position(each: Any) -> int | type:
            if not keras.ops.is_tensor(each):
                return type(each)
            arrays.append(each)
            return len(arrays) - 1

        self.structure = map_tree(position, raw)
        return arrays


@final
class TracedModel(NamedTuple):
    """A model's forward pass for one shape of input.

    Attributes:
        jaxpr: What is computed, of the variables' values and the inputs.
        variables: The model's.
        calls: Every call of every layer.
        shapes: The shapes of the outputs that were marked, by mark.
        returned: The model's outputs, in their structure: the position among the jaxpr's, or the type of what is no
            tensor.
    """

    jaxpr: ClosedJaxpr
    variables: list[Any]
    calls: tuple[LayerCall, ...]
    shapes: dict[str, tuple[int, ...]]
    returned: Any

    def flat(self, inputs: Inputs) -> list[Tensor]:
        """Return the arguments of the trace, with the values the variables have now."""
        return [*(variable.value for variable in self.variables), *jax.tree.leaves(inputs)]

    def select_outputs(self, objective: Objective) -> SelectedOutputs:
        """Select the variables of the trace that an objective reads."""
        variables = self.jaxpr.jaxpr.outvars
        tree = map_tree(lambda each: variables[each] if isinstance(each, int) else each, self.returned)
        return select_outputs(
            tree,
            objective,
            is_tensor=lambda each: isinstance(each, (Var, Literal)),
            bypass_final_activation=lambda raw: bypass_final_activation(self.jaxpr.jaxpr, raw),
            read=_read,
        )

    def position(self, call: LayerCall) -> int:
        """Return the equation behind which the call's output can be had."""
        if call.path == INPUT:
            return INPUTS
        name = mark_name(call)
        position = position_of(self.jaxpr.jaxpr, name, self.shapes[name])
        if position is None:
            raise LayerError(
                f"The layer {call.path!r} runs inside a loop, a branch, a vmap or a custom derivative of the model's "
                "own, where its output cannot be reached. Give a layer outside of it."
            )
        return position


def mark_name(call: LayerCall) -> str:
    """Return the name of the mark on a call's output."""
    return f"{call.path}#{call.number}"


def _read(raw: Tensor, logits: Tensor, activation: FinalActivation, tree: ArrayTree) -> Outputs:
    return Outputs.read(raw, logits.reshape(raw.shape).astype(jnp.float32), activation, keras.ops, tree)


def output_shape(selected: SelectedOutputs) -> Shape | None:
    """Return the shape of the selected output; None where none is selected."""
    found: list[Shape | None] = []
    jax.eval_shape(lambda *arrays: found.append(selected.read(arrays).shape), *(each.aval for each in selected.tensors))
    return found[0]
