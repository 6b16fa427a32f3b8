"""Models that take batches of one size only, such as those built with `keras.Input(batch_shape=(8, ...))`.

Such a model is run on full batches. A batch of fewer images is filled with copies of the last one, and the rows of the
copies are left out of what is returned.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError
from seewhy.frameworks.base import CaptureType, Framework, Head
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import LayerChoice
from seewhy.frameworks.stem import StemValues
from seewhy.frameworks.structures import ArrayTree, InputBatch, image_count, map_tree
from seewhy.frameworks.wrapper import SameInputsWrapper
from seewhy.targets import Objective
from seewhy.types import AttentionCapture, Capture, Derivatives, GradientRule, Tensor

FACTS = ("layer", "xp", "final_activation", "is_bypassed")
"""The fields of a capture that have no row for each image."""


class _FullBatch(NamedTuple):
    """A batch of the model's size.

    Attributes:
        inputs: The inputs.
        objective: The objective of these images.
        rows: The rows that are not copies and were not in an earlier batch.
    """

    inputs: InputBatch
    objective: Objective
    rows: slice


@final
class FixedBatch(SameInputsWrapper):
    """Runs a model that takes batches of one size only on batches of any size.

    Args:
        framework: Runs the model on batches of its size.
        size: That size.
    """

    def __init__(self, framework: Framework, size: int) -> None:
        super().__init__(framework)
        self.batch_size = self._size = size
        self.compiles_batch_size = False

    def __reduce__(self) -> tuple[type["FixedBatch"], tuple[Any, ...]]:
        return type(self), (self._framework, self._size)

    @property
    def of_full_batches(self) -> Framework:
        """What runs the model on batches of its size."""
        return self._framework

    def _inner_inputs(self, inputs: InputBatch) -> InputBatch:
        return self._filled(inputs, 0, self._size)

    @contextmanager
    def with_kernels(self, kernels: Kernels) -> Iterator[Framework]:
        with self._framework.with_kernels(kernels) as framework:
            yield FixedBatch(framework, self._size)

    def is_unscaled(self, inputs: InputBatch) -> bool:
        return self._framework.is_unscaled(self._filled(inputs, 0, 1))

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> Tensor | None:
        parts = []
        for start in range(0, image_count(inputs), self._size):
            stop = min(start + self._size, image_count(inputs))
            probabilities = self._framework.predict(self._filled(inputs, start, stop), output)
            if probabilities is None:
                return None
            parts.append(probabilities[: stop - start])
        joined: Tensor = self._joined(parts)
        return joined

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        captures = []
        for batch in self._full_batches(inputs, objective):
            captured = self._framework.capture(batch.inputs, layer, batch.objective, derivatives, gradient_rule)
            if captured.activations.shape[0] != self._size:
                raise LayerError(
                    f"The output of the layer {captured.layer!r} has {captured.activations.shape[0]} rows for "
                    f"{self._size} images: the model folds other axes into the batch there. Give a layer before "
                    "or after that."
                )
            captures.append(_rows(captured, batch.rows, self._size))
        return self._joined_captures(captures)

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        captures = []
        for batch in self._full_batches(inputs, objective):
            captured = self._framework.capture_attention(batch.inputs, batch.objective, derivatives)
            captures.append(_rows(captured, batch.rows, self._size))
        return self._joined_captures(captures)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        count = image_count(inputs)
        batches = [
            self._framework.stem_values(self._filled(inputs, start, start + self._size), layer, leaf)
            for start in range(0, count, self._size)
        ]
        return [
            StemValues(np.concatenate([values for values, _ in parts])[:count], parts[0].window)
            for parts in zip(*batches, strict=True)
        ]

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        run = self._framework.head(self._filled(inputs, 0, 1), layer, objective)

        def scores(perturbations: NDArray[Any]) -> Tensor:
            missing = -len(perturbations) % self._size
            copies = np.repeat(perturbations[-1:], missing, axis=0)
            every: Tensor = run(np.concatenate([perturbations, copies]))[: len(perturbations)]
            return every

        return scores

    def _full_batches(self, inputs: InputBatch, objective: Objective) -> Iterator[_FullBatch]:
        """Yield batches of the model's size that hold every image once among their `rows`."""
        count, size = image_count(inputs), self._size
        if count >= size:  # the last batch is filled with the images before it
            for first in range(0, count, size):
                start = min(first, count - size)
                yield _FullBatch(
                    self._filled(inputs, start, start + size),
                    replace(objective, target=objective.target.slice_images(start, start + size)),
                    slice(first - start, size),
                )
        elif objective.target.slice_images(0, count) is objective.target:
            yield _FullBatch(self._filled(inputs, 0, count), objective, slice(0, count))
        else:  # each image has a target of its own, and the copies have none
            for row in range(count):
                yield _FullBatch(self._filled(inputs, row, row + 1), objective.for_image(row), slice(0, 1))

    def _filled(self, inputs: InputBatch, start: int, stop: int) -> InputBatch:
        """Return images start..stop as a full batch, filled with copies of the last of them."""
        rows = np.minimum(np.arange(start, start + self._size), min(stop, image_count(inputs)) - 1)
        return map_tree(lambda array: array[rows], inputs)

    def _joined_captures(self, captures: Sequence[CaptureType]) -> CaptureType:
        first = captures[0]
        names = [name for name in _tensor_names(first) if getattr(first, name) is not None]
        return replace(
            first, **{name: self._joined([getattr(captured, name) for captured in captures]) for name in names}
        )

    def _joined(self, parts: Sequence[ArrayTree]) -> ArrayTree:
        """Join what is of the same structure along the batch axis."""
        first = parts[0]
        if len(parts) == 1 or first is None:
            return first
        if isinstance(first, dict):
            return {name: self._joined([part[name] for part in parts]) for name in first}
        if isinstance(first, (list, tuple)):
            return type(first)([self._joined(values) for values in zip(*parts, strict=True)])
        return self.xp.concatenate(parts, axis=0) if len(first.shape) else first


def _tensor_names(captured: Capture | AttentionCapture) -> list[str]:
    """Return the fields of a capture that have a row for each image."""
    return [field.name for field in fields(captured) if field.name not in FACTS]


def _rows(captured: CaptureType, rows: slice, size: int) -> CaptureType:
    """Return some images of a capture; an output without a row for each image is kept whole."""

    def cut(value: Any) -> Any:
        return value[rows] if value is not None and len(value.shape) and value.shape[0] == size else value

    names = _tensor_names(captured)
    changes = {name: map_tree(cut, getattr(captured, name)) for name in names if name not in ("maps", "gradients")}
    for name in ("maps", "gradients"):
        value = getattr(captured, name, None)
        if name in names:
            changes[name] = tuple(map(cut, value)) if isinstance(value, tuple) else cut(value)
    return replace(captured, **changes)
