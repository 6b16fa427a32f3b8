"""The model outputs that an objective reads, as logits and probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from seewhy.errors import ModelError, OptionError, TargetError
from seewhy.frameworks.structures import ArrayTree, map_tree, pick_output
from seewhy.targets import Objective, TargetScores
from seewhy.targets.target import Shape
from seewhy.types import FinalActivation, Namespace, NativeTensor, Score


@dataclass(frozen=True)
class Outputs:
    """The outputs that an objective reads.

    Attributes:
        raw: The selected output, or all of them where none is selected.
        logits: The input of the final activation; None where no single output is selected.
        probabilities: (N, C), or None where the output is not class scores.
        tree: All outputs, in the model's own structure; None where the objective does not read them.
        activation: The final activation; None where no single output is selected.
        is_one_unit: Whether the logits are those of two classes, made of a single sigmoid unit.
    """

    raw: ArrayTree
    logits: NativeTensor | None
    probabilities: NativeTensor | None
    tree: ArrayTree = None
    activation: FinalActivation | None = None
    is_one_unit: bool = False

    @classmethod
    def read(
        cls,
        raw: NativeTensor,
        logits: NativeTensor,
        activation: FinalActivation,
        xp: Namespace,
        tree: ArrayTree = None,
        softmax: "Softmax | None" = None,
    ) -> "Outputs":
        """Read an output (N, ...) whose final activation was bypassed, leaving float32 `logits`.

        Args:
            raw: The output.
            logits: The input of its final activation.
            activation: That activation.
            xp: The namespace of both.
            tree: All outputs, or None.
            softmax: The framework's own softmax over the last axis; None computes it with functions of `xp`.
        """
        softmax = partial(_softmax, xp=xp) if softmax is None else softmax
        if len(logits.shape) != 2:
            return cls(raw, _as_two_classes(logits, activation, xp), None, tree, activation)
        is_one_unit = activation == "sigmoid" and logits.shape[1] == 1
        if is_one_unit:
            logits = xp.concatenate([-logits, logits], axis=1)  # one unit, two classes
        if activation == "sigmoid":
            probabilities = xp.sigmoid(logits)
        elif activation == "softmax":
            probabilities = softmax(logits)
        elif logits.shape[1] == 1 or activation == "embedding":
            probabilities = None
        else:
            probabilities = softmax(logits) if activation == "logits" else _probabilities(logits, xp, softmax)
        return cls(raw, logits, probabilities, tree, activation, is_one_unit)

    @property
    def shape(self) -> Shape | None:
        """The shape of the selected output, with None for unknown sizes; None where no single output is selected."""
        return None if self.logits is None else tuple(self.logits.shape)

    def score(self, objective: Objective, arrays: Sequence[NativeTensor], xp: Namespace) -> TargetScores:
        """Return the scores of an objective, or raise TargetError where these outputs do not allow its target."""
        if self.is_one_unit:
            objective = replace(objective, target=objective.target.for_one_unit())
        objective.target.check_outputs(self.shape)
        return objective(self._scored_output(objective.score), arrays, xp, self.tree)

    def _scored_output(self, score: Score) -> NativeTensor:
        """Return the logits or probabilities, as the objective scores."""
        if score == "logit" or self.logits is None:
            return self.logits
        if self.activation == "embedding":
            raise OptionError(
                "score='probability' needs classes, and a prompt alone is compared with no other. Make the prompts "
                "classes, classifier.with_prompts([...]), and explain those; or use 'logit'."
            )
        if self.probabilities is None:
            raise OptionError("score='probability' needs class scores, which the model's outputs are not; use 'logit'.")
        return self.probabilities


Softmax = Callable[[NativeTensor], NativeTensor]
"""Computes the softmax over the last axis."""

BypassFinalActivation = Callable[[NativeTensor], tuple[FinalActivation, NativeTensor]]
"""Finds the final activation of an output, and the logits that it was applied to."""

ReadOutput = Callable[[NativeTensor, NativeTensor, FinalActivation, ArrayTree], Outputs]
"""Reads an output, its logits, its final activation, and all outputs or None."""


class SelectedOutputs(NamedTuple):
    """The symbolic outputs that an objective reads.

    Attributes:
        tensors: The tensors that are read.
        read: Reads the values of those tensors, in the same order.
        logits: The logits of the selected output; None where no single output is selected.
    """

    tensors: list[NativeTensor]
    read: Callable[[Sequence[NativeTensor]], Outputs]
    logits: NativeTensor | None = None

    @property
    def one_logits(self) -> NativeTensor:
        """The logits, or TargetError where no single output is selected."""
        if self.logits is None:
            raise TargetError(
                "Guided backpropagation starts at one output, and the target reads all outputs of the model. Select "
                "one with output=..., or use saliency, smoothgrad or integrated_gradients."
            )
        return self.logits


def select_outputs(
    tree: ArrayTree,
    objective: Objective,
    is_tensor: Callable[[Any], bool],
    bypass_final_activation: BypassFinalActivation,
    read: ReadOutput,
) -> SelectedOutputs:
    """Select the model outputs that an objective reads: one output, all outputs, or both.

    Args:
        tree: All outputs, in the model's own structure; values that are not tensors may be replaced by their types.
        objective: Reads the outputs.
        is_tensor: Whether a value is a tensor.
        bypass_final_activation: Finds the logits in the framework.
        read: Reads an output in the framework.

    Raises:
        ModelError: The selected output is missing, or is not a tensor.
    """
    tensors: list[NativeTensor] = []
    structure = map_tree(lambda value: _number_tensor(value, tensors, is_tensor), tree)

    def restore(values: Sequence[NativeTensor]) -> ArrayTree:
        return map_tree(lambda value: _restore_tensor(value, values), structure)

    if not objective.reads_one_output and not is_tensor(tree):
        return SelectedOutputs(tensors, lambda values: Outputs(restore(values), None, None, restore(values)))
    raw = pick_output(tree, objective.output)
    if not is_tensor(raw):
        kind = raw.__name__ if isinstance(raw, type) else type(raw).__name__
        raise ModelError(f"The model returned a {kind}; expected a tensor, or a list or dict of them.")
    activation, logits = bypass_final_activation(raw)
    all_tensors = tensors if objective.target.reads_all_outputs else []

    def read_all(values: Sequence[NativeTensor]) -> Outputs:
        raw, logits = map(_with_image_axis, values[:2])
        return read(raw, logits, activation, restore(values[2:]) if all_tensors else None)

    return SelectedOutputs([raw, logits, *all_tensors], read_all, logits)


def _with_image_axis(output: NativeTensor) -> NativeTensor:
    """Return an output with the axis of the images: a model that squeezes (N, 1) gives () for one image."""
    return output[None] if len(output.shape) == 0 else output


@dataclass(frozen=True)
class _TensorNumber:
    """A placeholder for a tensor: its number among all tensors."""

    number: int


def _number_tensor(value: Any, tensors: list[NativeTensor], is_tensor: Callable[[Any], bool]) -> Any:
    """Append a tensor and return its number; return any other value as it is."""
    if not is_tensor(value):
        return value
    tensors.append(value)
    return _TensorNumber(len(tensors) - 1)


def _restore_tensor(value: Any, tensors: Sequence[NativeTensor]) -> Any:
    """Return the tensor with a number; None for a value that was replaced by its type."""
    if isinstance(value, _TensorNumber):
        return tensors[value.number]
    return None if isinstance(value, type) else value


def _as_two_classes(logits: NativeTensor, activation: FinalActivation, xp: Namespace) -> NativeTensor:
    """Return the logits of a segmentation, with two channels where a sigmoid made one a foreground."""
    if activation != "sigmoid" or len(logits.shape) < 4:
        return logits
    axes = [axis for axis in (1, len(logits.shape) - 1) if logits.shape[axis] == 1]
    return xp.concatenate([-logits, logits], axis=axes[0]) if len(axes) == 1 else logits


def _probabilities(outputs: NativeTensor, xp: Namespace, softmax: Softmax) -> NativeTensor:
    """Return the softmax of logits, or the outputs where they are probabilities already, as a mean of softmaxes is.

    Each row is decided by its values, for another image must not change it. So this is the last resort, where the
    model's last operation does not tell.
    """
    total, least = xp.sum(outputs, axis=-1, keepdims=True), xp.min(outputs, axis=-1, keepdims=True)
    return xp.where((least >= 0) & (xp.abs(total - 1) < 1e-3), outputs, softmax(outputs))


def _softmax(logits: NativeTensor, xp: Namespace) -> NativeTensor:
    exponentials = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return exponentials / xp.sum(exponentials, axis=-1, keepdims=True)
