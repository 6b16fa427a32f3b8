"""Values of an exported PyTorch module by the paths of its modules.

The exporter writes into a value's name in which modules it was computed: "/layer4/layer4.1/relu/Relu_output_0". The
last value that is computed in a module is the module's output.
"""

from collections.abc import Iterator
from typing import NamedTuple

import onnx


class NamedValues(NamedTuple):
    """A model whose values have the paths of modules, where they are outputs of modules.

    Attributes:
        proto: The model.
        values: The value that each module returns, by the module's path.
    """

    proto: onnx.ModelProto
    values: dict[str, str]


def name_by_module(proto: onnx.ModelProto) -> NamedValues:
    """Give each value that is the output of modules the path of the outermost of them."""
    last = {path: value for node in proto.graph.node for value in node.output for path in _module_paths(value)}
    ends = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    names: dict[str, str] = {}
    for path, value in last.items():
        if value not in ends:
            names.setdefault(value, path)
    for node in proto.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    return NamedValues(proto, {path: names.get(value, value) for path, value in last.items()})


def _module_paths(value: str) -> Iterator[str]:
    """Yield the paths of the modules in which a value was computed, outer before inner."""
    parts: list[str] = []
    for scope in value.split("/")[1:-1]:
        if parts and scope.startswith(parts[-1] + "."):
            parts[-1] = scope  # a module in a container carries the name of the container
        else:
            parts.append(scope)
        yield ".".join(parts)
