"""A model that `seewhy.export` wrote, read back: its class scores, without the heatmaps that it computes itself."""

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
    kept = "probabilities" if is_known else "scores"
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
    graph.output.extend(value for value in model.graph.output if value.name == kept)
    return source
