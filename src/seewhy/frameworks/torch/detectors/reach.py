"""Which layers carry all of a detection's score, and which positions of each reach it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, final

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from seewhy.frameworks.dataflow import Operation, carriers
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import map_tree
from seewhy.frameworks.torch.carrying_calls import edge_key, operations_before
from seewhy.images.geometry import InputBox
from seewhy.types import NativeTensor


@final
class ReachRecorder(Recorder):
    """Records where the outputs of some calls are in the autograd graph of a model whose input is differentiated.

    Args:
        calls: The calls whose outputs have rows and columns, by path and execution.
    """

    def __init__(self, calls: Mapping[tuple[str, int], LayerCall]) -> None:
        self._calls = calls
        self._edges: dict[tuple[str, int], GradientEdge] = {}
        self._executions: Counter[str] = Counter()
        self._sources: list[GradientEdge] = []

    def enter(self, batch: Any) -> Any:
        """Return the model's input batch so that its gradients are recorded."""
        return map_tree(self._differentiated, batch)

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        self._executions[path] += 1
        key = (path, self._executions[path])
        if key in self._calls and isinstance(output, torch.Tensor) and output.requires_grad:
            self._edges[key] = get_gradient_edge(output)
        return output

    def reaches(self, score: NativeTensor) -> dict[tuple[str, int], InputBox]:
        """Return the calls that all of a score passes, each with the box of the positions that reach the score.

        The levels of a feature pyramid are joined before detections are chosen, so by the graph alone a detection
        depends on all of them. The levels whose gradient is 0 are left out.

        Args:
            score: A scalar.
        """
        if not score.requires_grad or not self._edges:
            return {}
        keys = list(self._edges)
        edges = [self._edges[key] for key in keys]
        gradients = torch.autograd.grad(score, edges, retain_graph=True, allow_unused=True)
        used = {key: gradient for key, gradient in zip(keys, gradients, strict=True) if _is_used(gradient)}
        unused = {edge_key(self._edges[key]) for key in keys if key not in used}
        edge = get_gradient_edge(score)
        operations = [
            Operation([read for read in operation.inputs if read not in unused], operation.outputs)
            for operation in operations_before([edge, *self._edges.values()])
        ]
        found = carriers(operations, map(edge_key, self._sources), [edge_key(edge)])
        return {
            key: _box(self._calls[key], gradient)
            for key, gradient in used.items()
            if len(gradient) == 1 and edge_key(self._edges[key]) in found
        }

    def _differentiated(self, tensor: NativeTensor) -> NativeTensor:
        if not tensor.is_floating_point():
            return tensor
        copy = tensor.detach().requires_grad_().clone()  # the model may write to it
        self._sources.append(get_gradient_edge(copy))
        return copy


def _is_used(gradient: NativeTensor | None) -> bool:
    return gradient is not None and bool(gradient.any())


def _box(call: LayerCall, gradient: NativeTensor) -> InputBox:
    """Return the box of the positions of one image whose gradient is not 0, as shares of the rows and columns."""
    reached = (gradient != 0).any(dim=1 if call.channels_first else -1)[0]
    rows, columns = (torch.nonzero(reached.any(dim=axis)).flatten().tolist() for axis in (1, 0))
    height, width = reached.shape
    return (rows[0] / height, columns[0] / width, (rows[-1] + 1) / height, (columns[-1] + 1) / width)
