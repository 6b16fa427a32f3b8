"""Targets of models that predict quantities rather than classes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

from numpy.typing import NDArray

from seewhy.errors import TargetError, short_repr
from seewhy.targets.classes import Class
from seewhy.targets.target import (
    ClassNamer,
    Shape,
    Target,
    TargetScores,
    is_index,
    no_class_indices,
    repeat_for_images,
    shape_text,
)
from seewhy.targets.target_lists import Combined, PerImage
from seewhy.types import IndexArray, Namespace, Tensor


@final
@dataclass(frozen=True, repr=False)
class Regression(Target):
    """A value that the model predicts, such as an age or a steering angle: y_k.

    The heatmap shows what raises the value. "output 0" is a spelling of it, and the name of the one value of a model
    that has no more and no final sigmoid. With a final sigmoid y_k is its input, or its result with
    `score="probability"`.

    Attributes:
        index: The position k of the value among the outputs (N, K).
        name: How the target is named; None is such as "output 0".

    Raises:
        TargetError: `index` is not a position, or the model has fewer values.
    """

    index: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        if not is_index(self.index) or self.index < 0:
            raise TargetError(
                f"Regression takes the position of a value, such as Regression(0); given {short_repr(self.index)}."
            )

    @property
    def key(self) -> Hashable:
        return Regression

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return (repeat_for_images([int(self.index)], count),)

    @property
    def array_count(self) -> int:
        return 1

    def for_one_unit(self) -> Target:
        return _UnitValue(self)

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (self.name or output_name(self.index),)

    def check_outputs(self, shape: Shape | None) -> None:
        if shape is None or len(shape) not in (1, 2):
            found = "several outputs, none of which is selected" if shape is None else f"of shape {shape_text(shape)}"
            raise TargetError(
                f"Regression explains one of the values (N, K) that a model predicts; the outputs are {found}. "
                "Name an output with output=..., or give a function of the outputs."
            )
        values = 1 if len(shape) == 1 else shape[1]
        if values is not None and self.index >= values:
            known = "one value, output 0" if values == 1 else f"values 0 to {values - 1}"
            raise TargetError(f"There is no output {self.index}: the model predicts {known}.")

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        (indices,) = arrays
        values = outputs[:, None] if len(outputs.shape) == 1 else outputs
        scores = xp.take_along_axis(values, indices, axis=-1)
        return TargetScores(scores, no_class_indices(scores, xp))


@final
@dataclass(frozen=True, repr=False)
class _UnitValue(Target):
    """The value of a single sigmoid unit. Its score is that of class 1, which stands second; class 0 has its negative.

    Attributes:
        value: Which value of the model, and its name.
    """

    value: Regression

    @property
    def key(self) -> Hashable:
        return self.value.key

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return self.value.arrays(count)

    @property
    def array_count(self) -> int:
        return self.value.array_count

    def check_outputs(self, shape: Shape | None) -> None:
        self.value.check_outputs((None, 1))

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        (indices,) = arrays
        return self.value(outputs, (indices + 1,), xp)


def are_values(target: Target) -> bool:
    """Whether all targets are values that are not classes."""
    if isinstance(target, (Combined, PerImage)):
        return all(map(are_values, target.parts if isinstance(target, Combined) else target.targets))
    return isinstance(target, Regression)


def as_value(target: Target, name: str | None) -> Target:
    """Return the target of a model that predicts one value for each image, (N,), in the place of a class.

    Args:
        target: Classes.
        name: How the value is named; None for "output 0".

    Raises:
        TargetError: The target is more than one value, or another than the first.
    """
    if isinstance(target, Combined):
        return Combined(tuple(as_value(part, name) for part in target.parts))
    if isinstance(target, PerImage):
        return PerImage(tuple(as_value(part, name) for part in target.targets))
    target.check_outputs((None, 1))
    if isinstance(target, Class) and target.target_count > 1:
        return Combined((Regression(name=name),) * target.target_count)
    return Regression(name=name)


def output_name(index: int) -> str:
    """Return the name of a value that is not a class."""
    return f"output {index}"
