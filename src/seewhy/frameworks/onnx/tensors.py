"""The nodes and the tensors that an ONNX model holds, wherever they are."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def model_tensors(proto: "onnx.ModelProto") -> Iterator[Any]:
    """Yield every tensor of a model: weights, and tensors in attributes of nodes, also in subgraphs and functions."""
    yield from proto.graph.initializer
    for node in model_nodes(proto):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for subgraph in _subgraphs(attribute):
                yield from subgraph.initializer


def model_nodes(proto: "onnx.ModelProto") -> Iterator[Any]:
    """Yield every node of a model, also those in subgraphs and functions."""
    stack = [proto.graph, *proto.functions]
    while stack:
        for node in stack.pop().node:
            yield node
            for attribute in node.attribute:
                stack += _subgraphs(attribute)


def _subgraphs(attribute: Any) -> list[Any]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
