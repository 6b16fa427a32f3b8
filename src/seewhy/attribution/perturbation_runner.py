"""Running the model on perturbations of one image, for the methods that need it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.attribution.independence import capture_images
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.frameworks.structures import map_tree
from seewhy.images.geometry import WHOLE, InputBox
from seewhy.interpolation import Extents
from seewhy.methods import Method
from seewhy.methods.method import Level
from seewhy.targets import Objective
from seewhy.types import Capture, Derivatives, FloatArray, GradientRule

ProgressCallback = Callable[[str, int, int], None]
"""Called before every batch with the method's title, the number of perturbations run so far, and their total. An
exception that it raises ends the method."""


def run_perturbations(method: Method, runner: "PerturbationRunner", capture: Capture) -> FloatArray:
    """Apply a method that runs the model on perturbations, image by image.

    Args:
        method: A method that takes a runner.
        runner: Runs the model, for the whole batch.
        capture: What the first run of the batch captured.

    Returns:
        Raw heatmaps, float32 (N, T, *space).
    """
    capture = _in_numpy(runner.framework, capture)
    objective = runner.objective.with_classes(np.asarray(capture.indices))
    return np.concatenate(
        [
            method(
                _row(capture, row),
                replace(runner, batch=runner.batch[row : row + 1], objective=objective.for_image(row)),
            )
            for row in range(len(runner.batch))
        ]
    )


@final
@dataclass(frozen=True)
class PerturbationRunner:
    """Implements `methods.Runner` for a batch of one image.

    Attributes:
        framework: Runs the model.
        batch: float32 (1, ...), laid out as the model takes it.
        layer: The layer that is explained.
        objective: What the image's scores are.
        batch_size: How many perturbations run at once.
        title: The method's title, which the progress bar shows.
        progress: True shows a progress bar on standard error; a function is called instead.
        input_box: Returns the part of the input that the layer shows; called only by methods that need it.
    """

    framework: Framework
    batch: FloatArray
    layer: LayerChoice
    objective: Objective
    batch_size: int
    title: str = ""
    progress: bool | ProgressCallback = False
    input_box: Callable[[], InputBox] = lambda: WHOLE

    @property
    def layer_extents(self) -> Extents | None:
        """Where the layer's output lies on the input; None where it shows all of it."""
        top, left, bottom, right = box = self.input_box()
        return None if box == WHOLE else ((top, bottom), (left, right))

    @property
    def inputs(self) -> FloatArray:
        """The image, (*space, C)."""
        return np.moveaxis(self.batch[0], 0, -1) if self.framework.channels_first else self.batch[0]

    def scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the input, giving (count, T)."""
        captures = self._captures(perturbations, count, LayerChoice(INPUT), "none", "plain")
        return np.concatenate([self.framework.to_numpy(capture.scores)[:size] for capture, size in captures])

    def head_scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the layer's activations, giving (count, T)."""
        head = self.framework.head(self.batch, self.layer, self.objective)
        return np.concatenate(
            [
                self.framework.to_numpy(head(batch.values))[: batch.size]
                for batch in self._batches(perturbations, count)  # bound to no name, so that a failure ends the bar
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
        """Run `count` perturbations of the input, and yield the capture of each."""
        layer = self.layer if level == "layer" else LayerChoice(INPUT)
        for capture, size in self._captures(perturbations, count, layer, "gradients", gradient_rule):
            rows = _in_numpy(self.framework, capture)
            yield from (_row(rows, row) for row in range(size))

    def _captures(
        self,
        perturbations: Iterable[FloatArray],
        count: int,
        layer: LayerChoice,
        derivatives: Derivatives,
        gradient_rule: GradientRule,
    ) -> Iterator[tuple[Capture, int]]:
        for values, size in self._batches(perturbations, count):
            inputs = np.moveaxis(values, -1, 1) if self.framework.channels_first else values
            inputs = self.framework.check_inputs(inputs)
            yield capture_images(self.framework, inputs, layer, self.objective, derivatives, gradient_rule), size

    def _batches(self, perturbations: Iterable[FloatArray], count: int) -> Iterator["_Batch"]:
        """Yield batches of one size, so that a framework compiles the model for one shape."""
        report = self.progress if callable(self.progress) else None
        perturbations = iter(self._with_bar(perturbations, count) if self.progress is True else perturbations)
        batch_size, done = min(self.batch_size, count), 0
        while batch := list(islice(perturbations, batch_size)):
            if report is not None:
                report(self.title, done, count)
            padding = [batch[-1]] * (batch_size - len(batch))
            yield _Batch(np.stack([*batch, *padding]).astype(np.float32), len(batch))
            done += len(batch)

    def _with_bar(self, perturbations: Iterable[FloatArray], count: int) -> Iterable[FloatArray]:
        """Show a progress bar on the terminal."""
        from rich.console import Console  # imported only where a bar is shown
        from rich.progress import track

        console = Console(stderr=True)  # where there is no terminal, rich would print an empty line per image
        hidden = not console.is_terminal
        return track(perturbations, self.title, count, console=console, transient=True, disable=hidden)


class _Batch(NamedTuple):
    """Perturbations (batch_size, ...), of which the first `size` are not padding."""

    values: FloatArray
    size: int


TENSOR_FIELDS = ("activations", "gradients", "scores", "indices", "outputs", "probabilities")
"""The fields of a capture that hold tensors."""


def _in_numpy(framework: Framework, capture: Capture) -> Capture:
    return _map_tensors(capture, lambda field: map_tree(framework.to_numpy, field), xp=np)


def _row(capture: Capture, row: int) -> Capture:
    """Return one image's part of a capture, as a batch of one; outputs in a list or dict are kept whole."""
    return _map_tensors(capture, lambda field: field[row : row + 1] if isinstance(field, np.ndarray) else field)


def _map_tensors(capture: Capture, function: Callable[[Any], Any], **changes: Any) -> Capture:
    for name in TENSOR_FIELDS:
        value = getattr(capture, name)
        changes[name] = None if value is None else function(value)
    return replace(capture, **changes)
