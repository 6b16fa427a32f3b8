"""Running the model on perturbations of one image, for the methods that need it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.attribution.checks import check_row_count, check_score_count
from seewhy.attribution.independence import are_independent, capture_images
from seewhy.errors import ModelRunError
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.frameworks.structures import InputBatch, image_at, image_count, map_tree, only_leaf
from seewhy.frameworks.tokens import unfold_tokens
from seewhy.images.geometry import WHOLE, InputBox
from seewhy.interpolation import Extents
from seewhy.methods import Method
from seewhy.methods.method import Level, WritePerturbations
from seewhy.targets import Objective
from seewhy.types import Capture, Derivatives, FloatArray, GradientRule, Tensor

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
                replace(
                    runner,
                    batch=image_at(runner.batch, row),
                    objective=objective.for_image(row),
                    prefix_tokens=None if capture.prefix_tokens is None else np.asarray(capture.prefix_tokens)[row],
                    suffix_tokens=None if capture.suffix_tokens is None else np.asarray(capture.suffix_tokens)[row],
                ),
            )
            for row in range(image_count(runner.batch))
        ]
    )


@final
@dataclass(frozen=True)
class PerturbationRunner:
    """Implements `methods.Runner` for a batch of one image.

    Attributes:
        framework: Runs the model.
        batch: One input of the model, float32 (1, ...), laid out and in a structure as the model takes it.
        find_layer: Returns the layer that is explained; called only by methods that need it.
        objective: What the image's scores are.
        batch_size: How many perturbations run at once.
        title: The method's title, which the progress bar shows.
        progress: True shows a progress bar on standard error; a function is called instead.
        input_box: Returns the part of the input that the layer shows; called only by methods that need it.
        prepare: Checks what was captured of the layer for a batch, and folds its tokens into rows and columns.
        prefix_tokens: (prefix, K), the layer's tokens before those that are folded, of the image itself; None where no
            tokens are folded.
        suffix_tokens: (suffix, K), those after them.
    """

    framework: Framework
    batch: InputBatch
    find_layer: Callable[[], LayerChoice]
    objective: Objective
    batch_size: int
    title: str = ""
    progress: bool | ProgressCallback = False
    input_box: Callable[[], InputBox] = lambda: WHOLE
    prepare: Callable[[InputBatch, Capture], Capture] = lambda _, capture: capture
    prefix_tokens: FloatArray | None = None
    suffix_tokens: FloatArray | None = None

    @property
    def layer_extents(self) -> Extents | None:
        """Where the layer's output lies on the input; None where it shows all of it."""
        top, left, bottom, right = box = self.input_box()
        return None if box == WHOLE else ((top, bottom), (left, right))

    @property
    def inputs(self) -> FloatArray:
        """The image, (*space, C)."""
        image: FloatArray = only_leaf(self.batch)[0]
        return np.moveaxis(image, 0, -1) if self.framework.channels_first else image

    def scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the input, giving (count, T)."""
        following = iter(perturbations)

        def write(numbers: range, array: FloatArray) -> None:
            for row, values in zip(array, islice(following, len(numbers)), strict=True):
                row[...] = values

        return np.concatenate(list(self.score_batches(write, count)))

    def score_batches(self, write: WritePerturbations, count: int) -> Iterator[FloatArray]:
        """Score `count` perturbations of the input in batches, giving (M, T) for each.

        All batches are written into one array: a new one for each would take longer than some models.
        """
        values = self._empty(self.inputs.shape, count, channels_first=self.framework.channels_first)
        last_first = np.moveaxis(values, 1, -1) if self.framework.channels_first else values
        layer, score = LayerChoice(INPUT), self.framework.scorer(self.objective)
        is_independent = False
        for numbers in self._numbers(count):
            write(numbers, last_first[: len(numbers)])
            last_first[len(numbers) :] = last_first[len(numbers) - 1]
            inputs = self.framework.check_inputs(_like(self.batch, values))
            # The first batches show whether perturbations influence each other; then nothing is looked up again.
            is_independent = is_independent or are_independent(self.framework, inputs, layer, self.objective)
            with _batch_size_named(len(values)):
                scores = score(inputs) if is_independent else self._scores_checked(inputs)
            rows = self.framework.to_numpy(scores)
            check_score_count(rows, len(values))
            yield np.array(rows[: len(numbers)])

    def head_scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the layer's activations, giving (count, T)."""
        head = self.framework.head(self.batch, self.find_layer(), self.objective)
        scores, following, values = [], iter(perturbations), None
        for numbers in self._numbers(count):
            for row, perturbation in enumerate(islice(following, len(numbers))):
                values = self._empty(perturbation.shape, count) if values is None else values
                values[row] = perturbation
            assert values is not None  # noqa: S101  # no range of numbers is empty
            values[len(numbers) :] = values[len(numbers) - 1]
            scores.append(self.framework.to_numpy(head(self._unfolded(values)))[: len(numbers)].copy())
        return np.concatenate(scores)

    def captures(
        self,
        perturbations: Iterable[FloatArray],
        count: int,
        *,
        level: Level = "layer",
        gradient_rule: GradientRule = "plain",
    ) -> Iterator[Capture]:
        """Run `count` perturbations of the input, and yield the capture of each."""
        layer = self.find_layer() if level == "layer" else LayerChoice(INPUT)
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
            inputs = self.framework.check_inputs(_like(self.batch, inputs))
            with _batch_size_named(len(values)):
                capture = capture_images(self.framework, inputs, layer, self.objective, derivatives, gradient_rule)
            check_row_count(capture, len(values))
            yield capture if layer.is_input else self.prepare(inputs, capture), size

    def _scores_checked(self, inputs: InputBatch) -> Tensor:
        """Score a batch of perturbations with the check that they do not influence each other."""
        capture = capture_images(self.framework, inputs, LayerChoice(INPUT), self.objective, "none")
        check_row_count(capture, image_count(inputs))
        return capture.scores

    def _empty(self, shape: tuple[int, ...], count: int, *, channels_first: bool = False) -> FloatArray:
        """Return the array for a batch of perturbations of this shape (*space, K)."""
        shape = (shape[-1], *shape[:-1]) if channels_first else shape
        return np.empty((self._size(count), *shape), dtype=np.float32)

    def _size(self, count: int) -> int:
        """Return the size of every batch: the same, so that a framework compiles the model for one shape."""
        return self.framework.batch_size or min(self.batch_size, count)

    def _numbers(self, count: int) -> Iterator[range]:
        """Yield the numbers of the perturbations of each batch, and show or report the progress."""
        report = self.progress if callable(self.progress) else None
        numbers = iter(self._with_bar(range(count), count) if self.progress is True else range(count))
        while batch := list(islice(numbers, self._size(count))):
            if report is not None:
                report(self.title, batch[0], count)
            yield range(batch[0], batch[-1] + 1)

    def _unfolded(self, perturbations: FloatArray) -> FloatArray:
        """Return perturbations of the layer's activations (M, *space, K) as the layer returns them.

        Tokens that are no patches keep the values that they have for the image.
        """
        if self.prefix_tokens is None or self.suffix_tokens is None:
            return perturbations
        return unfold_tokens(perturbations, self.prefix_tokens, self.suffix_tokens)

    def _batches(self, perturbations: Iterable[FloatArray], count: int) -> Iterator["_Batch"]:
        """Yield batches of one size, each in an array of its own, as what is captured may share its memory."""
        following = iter(perturbations)
        for numbers in self._numbers(count):
            batch = list(islice(following, len(numbers)))
            padding = [batch[-1]] * (self._size(count) - len(batch))
            yield _Batch(np.stack([*batch, *padding]).astype(np.float32, copy=False), len(batch))

    def _with_bar(self, numbers: range, count: int) -> Iterable[int]:
        """Show a progress bar on the terminal."""
        from rich.console import Console  # imported only where a bar is shown
        from rich.progress import track

        console = Console(stderr=True)  # where there is no terminal, rich would print an empty line per image
        hidden = not console.is_terminal
        return track(numbers, self.title, count, console=console, transient=True, disable=hidden)


@contextmanager
def _batch_size_named(count: int) -> Iterator[None]:
    """Say in an error of the model how many perturbations it was given: the caller gave no such batch."""
    try:
        yield
    except ModelRunError as error:
        if count == 1:
            raise
        raise ModelRunError(
            f"{error} This was a batch of {count} perturbations of one image. If the model takes batches of one size "
            "only, give that size: batch_size=1."
        ) from error


def _like(batch: InputBatch, array: FloatArray) -> InputBatch:
    """Return an array in the structure of a batch with one array."""
    return map_tree(lambda _: array, batch)


class _Batch(NamedTuple):
    """Perturbations (batch_size, ...), of which the first `size` are not padding."""

    values: FloatArray
    size: int


TENSOR_FIELDS = (
    *("activations", "gradients", "scores", "indices", "outputs", "probabilities"),
    *("prefix_tokens", "suffix_tokens"),
)
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
