"""The layers of a model that a framework exported, as values of the ONNX model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import onnx
import onnx.defs

from seewhy.errors import ModelError
from seewhy.frameworks.exported_graph import ExportedGraph, export_error
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.onnx.framework import Onnx
from seewhy.frameworks.onnx.graph import AI_ONNX, opset_of, reads
from seewhy.frameworks.onnx.model import OnnxModel
from seewhy.frameworks.onnx.module_paths import name_by_module
from seewhy.frameworks.onnx.normal_forms import NormalForms
from seewhy.frameworks.onnx.support import SUBGRAPHS, named
from seewhy.frameworks.structures import map_tree
from seewhy.types import Backend, Precision

MOVING = {"Identity", "Cast", "Transpose"}
"""Operators by which an exporter makes an output of a value that it has in another layout or under another name."""


class ExportedLayers(NamedTuple):
    """An exported model.

    Attributes:
        framework: Runs it.
        inputs: The names of its inputs, in the order of `leaves`.
        values: The name of the value that each call of a layer returns, by its path and the number of its execution.
    """

    framework: Onnx
    inputs: Sequence[str]
    values: Mapping[tuple[str, int], str]


def exported_layers(
    exported: ExportedGraph, calls: Iterable[LayerCall], runtime: Backend, precision: Precision
) -> ExportedLayers:
    """Return what runs an exported model.

    Args:
        exported: The model.
        calls: The calls of its layers in the framework.
        runtime: What runs it.
        precision: In which type.

    Raises:
        ModelError: The exported model has other inputs or outputs than the model.
        ModelRunError: It has an operator that is none of ONNX.
    """
    proto = onnx.load_from_string(exported.content)
    outputs = [value.name for value in proto.graph.output]
    count = 1 + max((value for value in _values(exported.outputs) if isinstance(value, int)), default=-1)
    missing = set(exported.inputs) - {value.name for value in proto.graph.input}
    if len(outputs) < count or missing or (exported.calls is None and len(outputs) != count):
        raise ModelError(
            f"The exported model has {len(outputs)} outputs and {len(proto.graph.input)} inputs, and the model has "
            f"{count} and {len(exported.inputs)}. Leave out backend, and it runs in its framework."
        )
    del proto.graph.output[count:]
    if exported.calls is None:
        counts = Counter(
            call.path for call in calls
        )  # the values of a second call are named as those of another module
        named = name_by_module(proto)
        values = {(path, 1): value for path, value in named.values.items() if counts[path] == 1}
    else:
        values = _layer_values(proto, {call: outputs[position] for call, position in exported.calls.items()})
    NormalForms(proto).rewrite()
    _check_operators(proto)
    tree = map_tree(lambda value: outputs[value] if isinstance(value, int) else value, exported.outputs)
    framework = Onnx(OnnxModel(proto), precision, tree, runtime)
    paths = {*framework.layer_paths()}  # without what the exporter folded, and what ends the model
    return ExportedLayers(framework, exported.inputs, {call: value for call, value in values.items() if value in paths})


def in_runtime(framework: Onnx, calls: Iterable[LayerCall], runtime: Backend, precision: Precision) -> ExportedLayers:
    """Return what runs an ONNX model in another runtime, where its layers are the same values."""
    values = {(call.path, call.execution): call.path for call in calls}
    return ExportedLayers(framework.on(runtime, precision), framework.declared_inputs(), values)


def _values(tree: object) -> Iterator[object]:
    found: list[object] = []
    map_tree(found.append, tree)
    yield from found


def _layer_values(proto: onnx.ModelProto, outputs: Mapping[tuple[str, int], str]) -> dict[tuple[str, int], str]:
    """Return the value behind each output of a layer, and give it the layer's name.

    An output may be a copy that nothing else reads; what the model continues with is the value that was copied.
    """
    graph = proto.graph
    producers = {name: node for node in graph.node for name in node.output}
    ends = {value.name for value in (*graph.input, *graph.output)}
    _remove_unread(proto)
    computed = {name for node in graph.node for name in node.output}

    def source(name: str) -> str:
        while name not in computed and name in producers and producers[name].op_type in MOVING:
            name = producers[name].input[0]
        return name

    values = {call: source(name) for call, name in outputs.items()}
    values = {call: value for call, value in values.items() if value in computed}
    names: dict[str, str] = {}
    for (path, execution), value in values.items():
        if value not in ends:
            names.setdefault(value, path if execution == 1 else f"{path}#{execution}")
    for node in graph.node:
        for part in (node.input, node.output):
            part[:] = [names.get(value, value) for value in part]
    return {call: names.get(value, value) for call, value in values.items()}


def _check_operators(proto: onnx.ModelProto) -> None:
    """Raise ModelRunError for an operator in the framework's own form or with a graph in it, and for bfloat16."""
    version = opset_of(proto)
    casts = (attribute.i for node in proto.graph.node for attribute in node.attribute if node.op_type == "Cast")
    if onnx.TensorProto.BFLOAT16 in (*(tensor.data_type for tensor in proto.graph.initializer), *casts):
        raise export_error("it computes in bfloat16, for which the runtimes have no operators")
    for node in proto.graph.node:
        if node.op_type in SUBGRAPHS:
            raise export_error(
                f"it computes {named(node)}, a condition or a loop, through which no gradient is taken in ONNX"
            )
        if node.domain in AI_ONNX and not onnx.defs.has(node.op_type, version, ""):
            raise export_error(f"ONNX has no operator {node.op_type} in opset {version}")


def _remove_unread(proto: onnx.ModelProto) -> None:
    """Remove nodes that compute nothing of the outputs."""
    needed, kept = {value.name for value in proto.graph.output}, list[onnx.NodeProto]()
    for node in reversed(proto.graph.node):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(reads(node))
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(kept))
