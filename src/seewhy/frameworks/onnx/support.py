"""What an ONNX model may contain, so that it can be explained: its domains, operators, types and names."""

from typing import Any

import onnx

from seewhy.errors import ModelError, WeightsError, short_repr
from seewhy.frameworks.onnx.tensors import model_nodes

ARRAY_TYPES = {
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.BOOL,
    onnx.TensorProto.INT8,
    onnx.TensorProto.INT16,
    onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.UINT16,
    onnx.TensorProto.UINT32,
    onnx.TensorProto.UINT64,
}
"""The types of inputs and outputs: those that NumPy has."""

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""The domains whose operators ONNX Runtime has."""

ACTING = ("EPContext", "PythonOp", "PythonOpGrad")
"""Operators of com.microsoft that read another file or run Python code."""

SUBGRAPHS = ("If", "Loop", "Scan", "SequenceMap")

SUPPRESSION = "NonMaxSuppression"

AFTER_TOP_K = (
    "Cast", "Concat", "Div", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Mod", "Mul",
    "Reshape", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
"""What detectors do with the boxes that TopK has selected: none of it makes another score."""

WITHOUT_NMS = (
    "Export the model without it, so that its outputs are the boxes and scores of all positions: of Ultralytics, "
    "model.export(format='onnx', nms=False), and for YOLOv10 and YOLO26 also end2end=False"
)


def check_nodes(graph: Any, origin: object) -> None:
    """Check the nodes of a graph whose functions are inlined.

    Raises:
        ModelError: An operator is custom, cannot be explained, is in training mode, or selects what the outputs show.
    """
    for node in graph.node:
        _check_node(node, origin)
    _check_modes(graph, origin)
    _check_top_k(graph, origin)


def check_functions(model: onnx.ModelProto, origin: object) -> None:
    """Check the domains of all nodes, also in functions, before these are inlined.

    Raises:
        ModelError: An operator is neither one of `DOMAINS` nor a function of the model.
    """
    functions = {(function.domain, function.name) for function in model.functions}
    for domain, name in sorted(functions):
        if domain in ("", "ai.onnx"):
            raise ModelError(f"{origin} is malicious or damaged: it replaces the operator {short_repr(name)} of ONNX.")
    for node in model_nodes(model):
        if (node.domain, node.op_type) not in functions:
            _check_domain(node, origin)


def check_ends(model: onnx.ModelProto, origin: object) -> None:
    """Check the inputs, the outputs and the weights of a model.

    Raises:
        ModelError: One is no tensor of numbers, or two have one name.
        WeightsError: There are no inputs or no outputs.
    """
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelError(f"{origin} contains sparse tensors; expected ordinary ones. Export the model without them.")
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    for kind, values in (("inputs", inputs), ("outputs", graph.output)):
        if not values:
            raise WeightsError(f"{origin} has no {kind}; expected a model from images to scores.")
        for value in values:
            _check_type(value, kind, origin)
    for kind, values in (("inputs", graph.input), ("outputs", graph.output), ("weights", graph.initializer)):
        names = [value.name for value in values]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ModelError(f"{origin} is damaged: two of its {kind} have the name {short_repr(twice)}.")


def _check_type(value: Any, kind: str, origin: object) -> None:
    which = value.type.WhichOneof("value")
    if which != "tensor_type":
        type_text = "an unknown type" if which is None else f"the type {which.replace('_', ' ').removesuffix(' type')}"
        raise ModelError(
            f"{origin} has {kind} that are no tensors: {short_repr(value.name)} has {type_text}. Export the model "
            "without what makes them, such as zipmap of skl2onnx."
        )
    if value.type.tensor_type.elem_type not in ARRAY_TYPES:
        raise ModelError(
            f"{origin} has {kind} of type {type_name(value.type.tensor_type.elem_type)}, {short_repr(value.name)}; "
            "expected numbers that NumPy has, such as float32."
        )


def _check_node(node: Any, origin: object) -> None:
    _check_domain(node, origin)
    name = node.op_type
    if name == SUPPRESSION:
        raise ModelError(
            f"{origin} ends in {named(node)}, non-maximum suppression, which selects boxes and has no gradient. "
            f"{WITHOUT_NMS}."
        )
    if name in SUBGRAPHS or any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        raise ModelError(
            f"{origin} contains {named(node)}, an operator with a graph of its own, which cannot be explained. Export "
            "the model with inputs of fixed size, torch.onnx.export(..., dynamo=True) for PyTorch, or simplify the "
            "file with onnxslim or onnxsim, which replace such operators where they can."
        )
    if name.startswith(("Sequence", "Optional", "String")) or name in ("ConcatFromSequence", "SplitToSequence"):
        raise ModelError(
            f"{origin} contains {named(node)}, which makes sequences, optional values or text; expected operators on "
            "tensors of numbers. Export the model with inputs of fixed size."
        )


def _check_domain(node: Any, origin: object) -> None:
    if node.domain not in DOMAINS:
        raise ModelError(
            f"{origin} contains {named(node)} of the domain {short_repr(node.domain)}, which ONNX Runtime does not "
            "have; expected operators of ONNX, ai.onnx.ml and com.microsoft. Export the model without custom operators."
        )
    if node.domain == "com.microsoft" and node.op_type in ACTING:
        raise ModelError(
            f"{origin} is refused: it contains {named(node)}, which reads another file or runs code. Export the model "
            "for ONNX Runtime on the processor."
        )


def _check_modes(graph: Any, origin: object) -> None:
    """Refuse operators in training mode, whose results are random or depend on the other images."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            constants[node.output[0]] = attributes["value"].t
        is_training = "training_mode" in attributes and attributes["training_mode"].i == 1
        if node.op_type == "Dropout" and len(node.input) > 2 and (mode := constants.get(node.input[2])) is not None:
            is_training = bool(onnx.numpy_helper.to_array(mode).any())
        if is_training:
            raise ModelError(
                f"{origin} was exported in training mode, as {named(node)} shows: its results are random or depend on "
                "the other images of a batch. Export the model after model.eval()."
            )


def _check_top_k(graph: Any, origin: object) -> None:
    """Raise ModelError if the outputs are what TopK selected: the boxes of a detector that needs no suppression."""
    producers = {output: node for node in graph.node for output in node.output}
    stack, visited = [value.name for value in graph.output], set()
    while stack:
        node = producers.get(stack.pop())
        if node is None or id(node) in visited:
            continue
        visited.add(id(node))
        if node.op_type == "TopK":
            raise ModelError(
                f"{origin} ends in {named(node)}, which selects the highest scores. {WITHOUT_NMS}; of a classifier, "
                "export the scores of all classes."
            )
        if node.op_type in AFTER_TOP_K:
            stack += node.input


def named(node: Any) -> str:
    """Return an operator and the name of its node, as in messages."""
    return f"{short_repr(node.op_type)}{f' (node {short_repr(node.name)})' if node.name else ''}"


def type_name(data_type: int) -> str:
    """Return the name of a type of ONNX, as in messages."""
    try:
        return str(onnx.TensorProto.DataType.Name(data_type)).lower()
    except ValueError:
        return f"number {data_type}"
