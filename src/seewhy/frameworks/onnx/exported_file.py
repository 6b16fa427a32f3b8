"""A model that `seewhy.export` wrote, read back: its class scores, without the heatmaps that it computes itself."""

from collections.abc import Mapping

import onnx

from seewhy.frameworks.export_settings import PREFIX
from seewhy.frameworks.onnx.export_graph import OUTPUTS
from seewhy.frameworks.onnx.graph import reads

KNOWN_ACTIVATIONS = ("softmax", "sigmoid")


def without_explanation(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with the output of its source alone, so that it is explained as the source is.

    Where the final activation is known, that is the probabilities, of which the logits are explained. A model that was
    not exported by `seewhy.export` is returned as it is.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    names = [value.name for value in model.graph.output]
    if f"{PREFIX}method" not in metadata or "heatmaps" not in names or not {*names} <= {*OUTPUTS}:
        return model
    is_known = metadata.get(f"{PREFIX}activation") in KNOWN_ACTIVATIONS and "probabilities" in names
    output = next(value for value in model.graph.output if value.name == ("probabilities" if is_known else "scores"))
    kept = output.name if is_known else _logits(model.graph)
    needed, nodes = {kept}, []
    for node in reversed(model.graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(reads(node))
    source = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    source.functions.extend(model.functions)
    source.metadata_props.extend(model.metadata_props)
    graph = source.graph
    graph.name = model.graph.name
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    graph.input.extend(model.graph.input)
    graph.output.append(output)
    graph.output[0].name = kept
    return source


def _logits(graph: onnx.GraphProto) -> str:
    """Return the value of the logits: "scores", unless these are the probabilities of a model that returns logits.

    They are then a softmax of the logits, or for images whose outputs are probabilities already, these themselves.
    """
    producers = {name: node for node in graph.node for name in node.output}
    choice = _source(producers, "scores")
    if choice is None or choice.op_type != "Where":
        return "scores"
    _, logits, probabilities = choice.input
    softmax = _source(producers, probabilities)
    is_softmax = softmax is not None and softmax.op_type == "Softmax" and softmax.input[0] == logits
    return logits if is_softmax else "scores"


def _source(producers: Mapping[str, onnx.NodeProto], name: str) -> onnx.NodeProto | None:
    """Return the node that computes a value, behind those that copy it."""
    node = producers.get(name)
    while node is not None and node.op_type == "Identity":
        node = producers.get(node.input[0])
    return node
