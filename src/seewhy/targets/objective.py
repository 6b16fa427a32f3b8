"""A target, and what of the model it is asked of."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from seewhy.targets.target import Target, Transform
from seewhy.types import IndexArray, Score


@dataclass(frozen=True)
class Objective:
    """A target, and what of the model it is asked of.

    Attributes:
        target: What is asked, with every class as an index.
        score: Whether the target is given logits or probabilities.
        output: Which of several outputs is asked: its position or its key.
    """

    target: Target
    score: Score = "logit"
    output: int | str | None = None

    @property
    def key(self) -> Hashable:
        """What a compiled step depends on."""
        return (self.target.key, self.score, self.output)

    @property
    def reads_one_output(self) -> bool:
        """Whether one output of the model is asked; else all of them are, and none need be named."""
        return self.output is not None or self.target.reads_one_output

    def with_classes(self, indices: IndexArray) -> "Objective":
        """Return the question for the classes that were found, (N, T), whatever the outputs come to be."""
        return replace(self, target=self.target.with_classes(indices))

    def transformed(self, transform: Transform) -> "Objective":
        """Return the question for another view of the images."""
        return replace(self, target=self.target.transformed(transform))

    def for_image(self, image: int) -> "Objective":
        """Return what one image is asked, as a question that any number of perturbations of it can be asked."""
        return replace(self, target=self.target.for_image(image))
