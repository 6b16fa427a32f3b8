"""Which inputs each call of a PyTorch model's layers is computed from, by numbers: one input is changed at a time.

An eager model has no graph, and its autograd graph ends where a part of it, such as a frozen tower, runs without
gradients. What changes with an input is computed from it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import InputBatch, leaves, map_leaf
from seewhy.frameworks.torch.tensors import has_memory
from seewhy.types import NativeTensor

MOST_VALUES = 4096
"""How many values of each output are compared, evenly spread: another image changes values everywhere."""

TOLERANCE = 1e-5
"""The change of a value, relative to the largest, that counts as rounding."""

Call = tuple[str, int]


@final
class ValueRecorder(Recorder):
    """Records some values of every output that is a floating-point tensor.

    Attributes:
        values: By the path of the layer and the number of the execution.
    """

    def __init__(self) -> None:
        self.values: dict[Call, NativeTensor] = {}
        self._executions: Counter[str] = Counter()

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        self._executions[path] += 1
        if isinstance(output, torch.Tensor) and output.is_floating_point() and _is_dense(output):
            flat = output.detach().reshape(-1)
            self.values[path, self._executions[path]] = flat[:: -(-len(flat) // MOST_VALUES) or 1].double().cpu()
        return output


def find_origins(
    inputs: InputBatch, values_for: Callable[[InputBatch], Mapping[Call, NativeTensor]]
) -> dict[Call, frozenset[int]]:
    """Return which inputs each call is computed from, by their positions among `leaves`.

    A call whose values differ between two runs on the same inputs is left out.

    Args:
        inputs: One image of each input.
        values_for: Runs the model, and returns what a `ValueRecorder` recorded.
    """
    first, again = values_for(inputs), values_for(inputs)
    steady = [call for call in first if not _differs(first[call], again.get(call))]
    found: dict[Call, set[int]] = {call: set() for call in steady}
    for leaf in range(len(leaves(inputs))):
        changed = values_for(map_leaf(_other_values, inputs, leaf))
        for call in steady:
            if _differs(first[call], changed.get(call)):
                found[call].add(leaf)
    return {call: frozenset(positions) for call, positions in found.items()}


def _is_dense(output: NativeTensor) -> bool:
    return not output.is_nested and output.layout == torch.strided and has_memory(output)


def _differs(values: NativeTensor, others: NativeTensor | None) -> bool:
    if others is None or values.shape != others.shape:
        return True
    largest = max(float(values.abs().max()), float(others.abs().max())) if len(values) else 0.0
    return largest > 0 and float((values - others).abs().max()) > TOLERANCE * largest


def _other_values(array: NDArray[Any]) -> NDArray[Any]:
    """Return noise in the range of an array's values; whole numbers and booleans, which may be ids, reversed."""
    if array.dtype.kind != "f":
        return np.ascontiguousarray(np.flip(array, axis=tuple(range(1, array.ndim))))
    low, high = float(array.min()), float(array.max())
    low, high = (low, high) if high > low else (low - 1, high + 1)
    return np.random.default_rng(0).uniform(low, high, array.shape).astype(array.dtype)
