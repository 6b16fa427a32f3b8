"""What of a model's outputs a question asks, and how the answer is read from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seewhy.errors import ModelError, TargetError
from seewhy.frameworks.base import FinalActivation, Outputs
from seewhy.frameworks.structures import map_tree, pick_output
from seewhy.targets import Objective
from seewhy.types import Tensor

BypassFinalActivation = Callable[[Tensor], tuple[FinalActivation, Tensor]]
"""Finds a tensor's final activation, and the logits behind it."""

Read = Callable[[Tensor, Tensor, FinalActivation, Any], Outputs]
"""Reads an output, its logits, its final activation, and all that the model returned or None."""


class SelectedOutputs(NamedTuple):
    """What a question asks.

    Attributes:
        tensors: Those of the model that are asked.
        read: Reads them; or, in their order, other values of theirs.
        logits: What stands before the final activation of the one output that is asked; None where all are.
    """

    tensors: list[Tensor]
    read: Callable[[Sequence[Tensor]], Outputs]
    logits: Tensor | None = None

    @property
    def one_logits(self) -> Tensor:
        """The logits, for what is asked of one output alone, or TargetError."""
        if self.logits is None:
            raise TargetError(
                "Guided backpropagation follows the way back from one output, and the target reads all that the "
                "model returns. Name one with output=..., or use saliency, smoothgrad or integrated_gradients."
            )
        return self.logits


def select_outputs(
    whole: Any,
    objective: Objective,
    is_tensor: Callable[[Any], bool],
    bypass_final_activation: BypassFinalActivation,
    read: Read,
) -> SelectedOutputs:
    """Find what a question asks of all that a model returned: one output, all of them, or both.

    Args:
        whole: The tensors, in whatever structure; what is no tensor may stand there as its type.
        question: Who asks.
        is_tensor: Tells a tensor from anything else.
        see_through: How the framework does.
        read: How the framework reads one output.

    Raises:
        ModelError: The output that is asked is not there, or is no tensor.
    """
    every: list[Tensor] = []
    structure = map_tree(lambda each: _number_tensors(each, every, is_tensor), whole)

    def rebuilt(tensors: Sequence[Tensor]) -> Any:
        return map_tree(lambda each: _restore_tensors(each, tensors), structure)

    if not objective.reads_one_output and not is_tensor(whole):
        return SelectedOutputs(every, lambda tensors: Outputs(rebuilt(tensors), None, None, rebuilt(tensors)))
    raw = pick_output(whole, objective.output)
    if not is_tensor(raw):
        kind = raw.__name__ if isinstance(raw, type) else type(raw).__name__
        raise ModelError(f"The model returned a {kind}; expected a tensor, or a list or dict of them.")
    head, logits = bypass_final_activation(raw)
    more = every if objective.target.reads_all_outputs else []

    def read_with_rest(tensors: Sequence[Tensor]) -> Outputs:
        return read(tensors[0], tensors[1], head, rebuilt(tensors[2:]) if more else None)

    return SelectedOutputs([raw, logits, *more], read_with_rest, logits)


@dataclass(frozen=True)
class _TensorNumber:
    """Where a tensor stood, by its place among all of them."""

    number: int


def _number_tensors(value: Any, every: list[Tensor], is_tensor: Callable[[Any], bool]) -> Any:
    """Return the place of a tensor; what is none as it is."""
    if not is_tensor(value):
        return value
    every.append(value)
    return _TensorNumber(len(every) - 1)


def _restore_tensors(value: Any, tensors: Sequence[Tensor]) -> Any:
    """Return the tensor of a place; None for what is known by its type alone."""
    if isinstance(value, _TensorNumber):
        return tensors[value.number]
    return None if isinstance(value, type) else value
