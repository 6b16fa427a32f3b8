"""The scores of an objective for values that a session has computed, and where its backward pass starts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks import array_namespace as xp
from seewhy.frameworks.onnx.seeds import are_logits, output_gradients
from seewhy.frameworks.outputs import Outputs, SelectedOutputs
from seewhy.targets import Class, Objective, TargetScores, TopK
from seewhy.types import FloatArray


@final
@dataclass(frozen=True)
class ScoredValues:
    """Values of a model's outputs, and their scores.

    Attributes:
        selected: The outputs that the objective reads.
        objective: What is differentiated.
        values: The values of `selected.tensors`.
        is_read: Whether the scores depend on each of them.
        outputs: The outputs as logits and probabilities.
        scores: The scores.
    """

    selected: SelectedOutputs
    objective: Objective
    values: list[NDArray[Any]]
    is_read: list[bool]
    outputs: Outputs
    scores: TargetScores

    def fields(self) -> dict[str, Any]:
        """Return the fields of a capture that follow from the outputs."""
        return {
            "scores": np.asarray(self.scores.scores, np.float32),
            "indices": self.scores.indices,
            "outputs": self.outputs.raw,
            "probabilities": self.outputs.probabilities,
            "final_activation": self.outputs.activation,
        }

    def class_indices(self) -> NDArray[np.intp] | None:
        """Return the class (N, T) of each score where the scores are logits of classes, and nothing else; else None."""
        objective, read = (
            self.objective,
            [value for value, is_read in zip(self.values, self.is_read, strict=True) if is_read],
        )
        is_plain = objective.score == "logit" and objective.contrast is None
        if not is_plain or len(read) != 1 or not isinstance(objective.target, (Class, TopK)):
            return None
        indices = np.asarray(self.scores.indices)
        logits = read[0]
        if logits.ndim != 2 or logits.shape[1] < 2 or len(logits) != len(indices):
            return None
        return indices if are_logits(logits, np.asarray(self.scores.scores), indices) else None

    def seeds(self) -> dict[str, FloatArray]:
        """Return the derivatives of the scores by each output that they depend on, (N, T, ...), by name."""
        arrays = self.objective.target.arrays(len(self.values[0]))
        found = output_gradients(
            self.selected.read, self.values, self.is_read, self.objective, arrays, *map(np.asarray, self.scores)
        )
        seeds: dict[str, FloatArray] = {}
        for name, seed, is_read in zip(self.selected.tensors, found, self.is_read, strict=True):
            if is_read:  # one value may be both the selected output and one of all
                seeds[name] = seeds[name] + seed if name in seeds else seed
        return seeds


def score_values(
    selected: SelectedOutputs,
    objective: Objective,
    differentiated: Collection[str],
    values: Mapping[str, NDArray[Any]],
) -> ScoredValues:
    """Compute the scores of an objective.

    Args:
        selected: The outputs that it reads.
        objective: The objective.
        differentiated: The names of the outputs that it depends on.
        values: The values of the outputs by name.
    """
    tensors = [values[name] for name in selected.tensors]
    outputs = selected.read(tensors)
    scores = outputs.score(objective, objective.target.arrays(len(tensors[0])), xp)
    # Of a selected output its logits are read, which come second.
    first = 0 if selected.logits is None else 1
    is_read = [number >= first and name in differentiated for number, name in enumerate(selected.tensors)]
    return ScoredValues(selected, objective, tensors, is_read, outputs, scores)
