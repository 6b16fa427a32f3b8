"""The outputs of a Keras model that is exported, and of its layers."""

from collections.abc import Iterator
from typing import Any, final

import keras

from seewhy.frameworks.exported_graph import ExportedGraph, numbered
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.structures import ArrayTree, InputBatch, map_tree
from seewhy.types import NativeTensor


@final
class ExportedOutputs(KerasRecorder):
    """Records the output of every call that has space, so that it becomes an output of the exported model."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._outputs: dict[tuple[str, int], NativeTensor] = {}
        self._structure: ArrayTree = None
        self._numbered: dict[int, int] = {}

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        call = self.add_call(path, layer, output, arguments)
        if call.has_space:
            self._outputs[call.path, call.execution] = output
        return output

    def flatten(self, outputs: ArrayTree) -> list[NativeTensor]:
        """Return the tensors among the model's outputs, and after them those of the layers, each once."""
        self._structure, tensors = numbered(outputs, keras.ops.is_tensor)
        self._numbered = {id(tensor): number for number, tensor in enumerate(tensors)}
        for tensor in self._outputs.values():
            if id(tensor) not in self._numbered:
                self._numbered[id(tensor)] = len(tensors)
                tensors.append(tensor)
        return tensors

    def graph(self, content: bytes, inputs: list[str]) -> ExportedGraph:
        """Return the exported model, whose outputs are those that `flatten` returned."""
        calls = {call: self._numbered[id(tensor)] for call, tensor in self._outputs.items()}
        return ExportedGraph(content, inputs, self._structure, calls)


def with_leaves(inputs: InputBatch, arrays: Iterator[NativeTensor]) -> InputBatch:
    """Return the structure of inputs with other arrays in it, in the order of `leaves`."""
    return map_tree(lambda _: next(arrays), inputs)
