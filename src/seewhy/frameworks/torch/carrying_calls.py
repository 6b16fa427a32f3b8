"""The calls of a PyTorch model's modules that everything passes, found in its autograd graph.

The graph does not show paths through `detach`, comparisons, `argmax` and the like, which are counted on TensorFlow and
JAX. A call may be bypassed by these; candidates of "auto" are therefore judged by their values too.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, final

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from seewhy.frameworks.dataflow import Operation, carriers
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import map_tree
from seewhy.types import NativeTensor


@final
class EdgeRecorder(Recorder):
    """Records where the output of every call is in the autograd graph of a model whose input is differentiated."""

    def __init__(self) -> None:
        self._edges: dict[tuple[str, int], GradientEdge] = {}
        self._executions: Counter[str] = Counter()
        self._sources: list[GradientEdge] = []

    def enter(self, batch: Any) -> Any:
        """Return the model's input batch so that its gradients are recorded."""
        return map_tree(self._differentiated, batch)

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        self._executions[path] += 1
        if isinstance(output, torch.Tensor) and output.requires_grad:
            self._edges[path, self._executions[path]] = get_gradient_edge(output)
        return output

    def carrying(self, results: Iterable[NativeTensor]) -> frozenset[tuple[str, int]] | None:
        """Return the calls, by path and execution, that no differentiable path from the input to the results bypasses.

        None where the graph does not lead from the only input to the results.
        """
        edges = [get_gradient_edge(result) for result in results if result.requires_grad]
        operations = operations_before([*edges, *self._edges.values()])
        found = carriers(operations, map(edge_key, self._sources), map(edge_key, edges))
        if not found.issuperset(map(edge_key, self._sources)):
            return None
        return frozenset(call for call, edge in self._edges.items() if edge_key(edge) in found)

    def _differentiated(self, tensor: NativeTensor) -> NativeTensor:
        if not tensor.is_floating_point():
            return tensor
        copy = tensor.detach().requires_grad_().clone()  # the model may write to it
        self._sources.append(get_gradient_edge(copy))
        return copy


def edge_key(edge: GradientEdge) -> tuple[Any, int]:
    """Return what stands for an edge among the tensors of `operations_before`."""
    return (edge.node, edge.output_nr)


def operations_before(edges: Iterable[GradientEdge]) -> list[Operation]:
    """Return the nodes that lead to some edges as operations, producers before consumers."""
    outputs: dict[Any, set[int]] = {}
    for edge in edges:
        outputs.setdefault(edge.node, set()).add(edge.output_nr)
    ordered: list[Any] = []
    visited: set[Any] = set()
    pending = [(node, False) for node in outputs]
    while pending:
        node, is_done = pending.pop()
        if is_done:
            ordered.append(node)
        elif node not in visited:
            visited.add(node)
            pending.append((node, True))
            for producer, number in node.next_functions:
                if producer is not None:
                    outputs.setdefault(producer, set()).add(number)
                    pending.append((producer, False))
    return [
        Operation(
            [edge for edge in node.next_functions if edge[0] is not None],
            [(node, number) for number in sorted(outputs[node])],
        )
        for node in ordered
    ]
