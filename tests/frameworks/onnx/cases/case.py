"""One operator with certain inputs and attributes, and the same in torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RANDOM = np.random.default_rng(18)

INPUT_SINCE = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13, "Split": 13}
"""The opset since which axes, or the sizes of a split, are an input and no attribute."""


@dataclass(frozen=True)
class Fixed:
    """An input that is a constant of the model."""

    array: np.ndarray


@dataclass(frozen=True)
class Case:
    """An operator, and what computes the same in torch from its inputs that are not fixed.

    Without a function, the operator is linear, and ONNX Runtime's own forward run tells the gradient.
    """

    operator: str
    function: Callable[..., Any] | None
    inputs: tuple[np.ndarray | Fixed | None, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    since: int = 11
    until: int = 28
    batched: tuple[int, ...] = (0,)
    outputs: int = 1
    runtime: str = "any"

    @property
    def opsets(self) -> list[int]:
        """Early, middle and late versions at which the operator is tested."""
        return [self.since, min(max(self.since, 17), self.until), self.until]

    def placed(self, opset: int) -> tuple[tuple[np.ndarray | Fixed | None, ...], dict[str, Any]]:
        """Return inputs and attributes at an opset."""
        inputs, attributes = list(self.inputs), dict(self.attributes)
        name = "split" if self.operator == "Split" else "axes"
        since = INPUT_SINCE.get(self.operator, 18 if self.operator.startswith("Reduce") else 99)
        if name in attributes and opset >= since:
            inputs.append(Fixed(np.array(attributes.pop(name))))
        return tuple(inputs), attributes


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0.3, 2, size=shape)


def integers(*values: int) -> Fixed:
    return Fixed(np.array(values, np.int64))


def case(
    operator: str, function: Callable[..., Any] | None, *inputs: np.ndarray | Fixed | None, **options: Any
) -> Case:
    """Return a case; options that are no fields of it are attributes."""
    names = ("since", "until", "batched", "outputs", "runtime")
    fields = {name: options.pop(name) for name in names if name in options}
    return Case(operator, function, inputs, options, **fields)
