"""The objective: the scalar scores that are differentiated."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seewhy.representation import ShortRepr
from seewhy.targets.contrast import check_contrast, contrasted
from seewhy.targets.target import ImageTransform, Target, TargetScores
from seewhy.types import Contrast, IndexArray, Namespace, Score, Tensor


@dataclass(frozen=True, repr=False)
class Objective(ShortRepr):
    """A target, and the output of the model that it is computed from.

    Attributes:
        target: The target, with every class as an index.
        score: Whether the target is computed from logits or from probabilities.
        output: The position or key of the output, for a model with several outputs.
        contrast: What is subtracted from the score of each class; None where nothing is.

    Raises:
        TargetError: There is a contrast, and the target is not classes.
    """

    target: Target
    score: Score = "logit"
    output: int | str | None = None
    contrast: Contrast | None = None

    def __post_init__(self) -> None:
        if self.contrast is not None:
            check_contrast(self.target)

    @property
    def key(self) -> Hashable:
        """The key of the objective's compiled function."""
        return (self.target.key, self.score, self.output, self.contrast)

    @property
    def reads_one_output(self) -> bool:
        """Whether one output of the model is selected; if not, all of them are read and none need be named."""
        return self.output is not None or self.target.reads_one_output

    @property
    def selects_logits(self) -> bool:
        """Whether every score is the logit of the class whose index it has."""
        return self.target.is_classes and self.score == "logit" and self.contrast is None

    def __call__(
        self, output: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        """Compute the scores that are differentiated; the arguments are those of `Target.__call__`."""
        result = self.target(output, arrays, xp, all_outputs)
        return result if self.contrast is None else contrasted(result, output, self.contrast, xp)

    def with_classes(self, indices: IndexArray) -> "Objective":
        """Return the objective for fixed classes (N, T), so that "top-k" no longer depends on the outputs."""
        return replace(self, target=self.target.with_classes(indices))

    def transform(self, transform: ImageTransform) -> "Objective":
        """Return the objective for transformed images."""
        return replace(self, target=self.target.transform(transform))

    def for_image(self, image: int) -> "Objective":
        """Return the objective of one image as an objective for any number of perturbations of that image."""
        return replace(self, target=self.target.for_image(image))
