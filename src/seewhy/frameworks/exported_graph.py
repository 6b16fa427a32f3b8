"""A model of a framework as an ONNX model, in which the layers can be found again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from seewhy.errors import ModelRunError, SeewhyError
from seewhy.frameworks.structures import ArrayTree, map_tree
from seewhy.types import NativeTensor

MAX_REASON = 300
"""How much of a converter's message is shown."""


class ExportedGraph(NamedTuple):
    """An ONNX model that a framework wrote, with the outputs of layers as further outputs.

    Attributes:
        content: The ONNX model, serialized.
        inputs: The names of its inputs, in the order of `leaves`.
        outputs: The model's outputs in their own structure: the position of each tensor among the outputs of the ONNX
            model, or the type of any other value.
        calls: The position of the output of each call of a layer, by its path and the number of its execution. None
            where the names of values begin with the paths of the modules that computed them.
    """

    content: bytes
    inputs: Sequence[str]
    outputs: ArrayTree
    calls: Mapping[tuple[str, int], int] | None = None


def numbered(outputs: ArrayTree, is_tensor: Callable[[Any], bool]) -> tuple[ArrayTree, list[NativeTensor]]:
    """Return a model's outputs as `ExportedGraph.outputs` has them, and the tensors among them."""
    tensors: list[NativeTensor] = []

    def number(value: Any) -> int | type:
        if not is_tensor(value):
            return type(value)
        tensors.append(value)
        return len(tensors) - 1

    return map_tree(number, outputs), tensors


@contextmanager
def translated_export(failures: tuple[type[Exception], ...], message: Callable[[Exception], object]) -> Iterator[None]:
    """Translate what a converter raises for a model that it cannot export into `ModelRunError`."""
    try:
        yield
    except SeewhyError:
        raise
    except failures as error:
        raise export_error(" ".join(str(message(error)).split())[:MAX_REASON] or type(error).__name__) from error


def export_error(reason: str) -> ModelRunError:
    """Return the error for a model that cannot be exported."""
    return ModelRunError(
        f"The model cannot be exported to ONNX: {reason.strip().rstrip('.')}. Leave out backend, and it runs in its "
        "framework."
    )
