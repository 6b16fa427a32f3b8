"""A target, and what of the network it is asked of."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from seewhy.targets.target import Move, Target
from seewhy.types import IndexArray, Score


@dataclass(frozen=True)
class Question:
    """A target, and what of the network it is asked of.

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
    def reads_output(self) -> bool:
        """Whether one output of the network is asked; else all of them are, and none need be named."""
        return self.output is not None or self.target.reads_output

    def settled(self, indices: IndexArray) -> "Question":
        """Return the question for the classes that were found, (N, T), whatever the outputs come to be."""
        return replace(self, target=self.target.settled(indices))

    def moved(self, move: Move) -> "Question":
        """Return the question for another view of the images."""
        return replace(self, target=self.target.moved(move))

    def of_image(self, image: int) -> "Question":
        """Return what one image is asked, as a question that any number of variations of it can be asked."""
        return replace(self, target=self.target.of_image(image))
