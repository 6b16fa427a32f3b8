"""Running a model again on perturbations of one image, for the methods that ask for it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.frameworks.structures import map_tree
from seewhy.methods import Method
from seewhy.methods.method import Level
from seewhy.targets import Objective
from seewhy.types import Backward, Capture, FloatArray, GradientRule

Progress = Callable[[str, int, int], None]
"""Told how far a method has come, before every batch: the method's title, how many perturbations were run, and of how
many. What it raises ends the method."""


def run_perturbations(method: Method, runs: "PerturbationRunner", capture: Capture) -> FloatArray:
    """Apply a method that runs the model again, image by image.

    Args:
        method: One whose `needs_runner` is true.
        runs: How the model is run.
        capture: What the first run of the batch left.

    Returns:
        Evidence, float32 (N, T, *space).
    """
    capture = _in_numpy(runs.framework, capture)
    with_classes = runs.objective.with_classes(capture.indices)
    return np.concatenate(
        [
            method(
                _row(capture, row),
                replace(runs, batch=runs.batch[row : row + 1], objective=with_classes.for_image(row)),
            )
            for row in range(len(runs.batch))
        ]
    )


@final
@dataclass(frozen=True)
class PerturbationRunner:
    """What `methods.Runner` asks for, of a batch of one image.

    Attributes:
        framework: Runs the model.
        batch: float32 (1, ...), as the model takes it.
        layer: The layer that is explained.
        question: What the image is asked.
        batch_size: How many perturbations go through the model at once.
        title: What the method is called where progress is shown.
        progress: Whether progress is shown on standard error; or what is told of it instead.
    """

    framework: Framework
    batch: FloatArray
    layer: LayerChoice
    objective: Objective
    batch_size: int
    title: str = ""
    progress: bool | Progress = False

    @property
    def inputs(self) -> FloatArray:
        """The image, (*space, C)."""
        return np.moveaxis(self.batch[0], 0, -1) if self.framework.channels_first else self.batch[0]

    def scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the input, giving (count, T)."""
        runs = self._captures(perturbations, count, LayerChoice(INPUT), "none")
        return np.concatenate([self.framework.to_numpy(capture.scores)[:real] for capture, real in runs])

    def head_scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the layer's activations, giving (count, T)."""
        head = self.framework.head(self.batch, self.layer, self.objective)
        return np.concatenate(
            [
                self.framework.to_numpy(head(batch.values))[: batch.real]
                for batch in self._batches(perturbations, count)  # held by no name, so that a failure ends the progress
            ]
        )

    def captures(
        self,
        perturbations: Iterable[FloatArray],
        count: int,
        *,
        level: Level = "layer",
        gradient_rule: GradientRule = "plain",
    ) -> Iterator[Capture]:
        """Run `count` perturbations of the input, and yield what each left."""
        layer = self.layer if level == "layer" else LayerChoice(INPUT)
        for capture, real in self._captures(perturbations, count, layer, gradient_rule):
            rows = _in_numpy(self.framework, capture)
            yield from (_row(rows, row) for row in range(real))

    def _captures(
        self, perturbations: Iterable[FloatArray], count: int, layer: LayerChoice, backward: Backward
    ) -> Iterator[tuple[Capture, int]]:
        for values, real in self._batches(perturbations, count):
            inputs = np.moveaxis(values, -1, 1) if self.framework.channels_first else values
            inputs = self.framework.check_inputs(inputs)
            yield self.framework.capture(inputs, layer, self.objective, backward), real

    def _batches(self, perturbations: Iterable[FloatArray], count: int) -> Iterator["_Batch"]:
        """Yield batches that are all of one size, for which alone a model need be compiled."""
        tell = self.progress if callable(self.progress) else None
        perturbations = iter(self._shown(perturbations, count) if self.progress is True else perturbations)
        size, done = min(self.batch_size, count), 0
        while some := list(islice(perturbations, size)):
            if tell is not None:
                tell(self.title, done, count)
            padding = [some[-1]] * (size - len(some))
            yield _Batch(np.stack([*some, *padding]).astype(np.float32), len(some))
            done += len(some)

    def _shown(self, perturbations: Iterable[FloatArray], count: int) -> Iterable[FloatArray]:
        """Show on the terminal how far they have been gone through."""
        from rich.console import Console  # only who shows it pays for it
        from rich.progress import track

        console = Console(stderr=True)  # of no terminal, rich would leave an empty line for every image
        hidden = not console.is_terminal
        return track(perturbations, self.title, count, console=console, transient=True, disable=hidden)


class _Batch(NamedTuple):
    """Perturbations (batch_size, ...), of which the first `real` count."""

    values: FloatArray
    real: int


PARTS = ("activations", "gradients", "scores", "indices", "outputs", "probabilities")
"""What of a capture is of tensors."""


def _in_numpy(framework: Framework, capture: Capture) -> Capture:
    return _each(capture, lambda part: map_tree(framework.to_numpy, part), xp=np)


def _row(capture: Capture, row: int) -> Capture:
    """Return one image's part of a capture, as a batch of one; of several outputs, which have no rows, all."""
    return _each(capture, lambda part: part[row : row + 1] if isinstance(part, np.ndarray) else part)


def _each(capture: Capture, function: Callable[[Any], Any], **changes: Any) -> Capture:
    parts: dict[str, Any] = {name: getattr(capture, name) for name in PARTS}
    changes |= {name: None if part is None else function(part) for name, part in parts.items()}
    return replace(capture, **changes)
