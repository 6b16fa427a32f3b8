"""The stem of an ONNX model: what its first convolutions receive."""

import onnx

from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.layouts import spatial_axes
from seewhy.frameworks.onnx.calls import POOLING
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.stem import StemInput, has_positions, moving_operation

CONVOLUTIONS = {"Conv", "ConvTranspose", "FusedConv", "QLinearConv", "ConvInteger"}
PRODUCTS = {"MatMul", "Gemm", "Einsum"}
POOLS = {name for name in POOLING if name.endswith("Pool")}

KEEPING = {"Identity", "Cast", "Transpose", "Pad", "Dropout"}
"""Operators that scale nothing."""


def find_stem_inputs(graph: Graph, image: str, call: LayerCall) -> list[StemInput]:
    """Return what the stem receives, as far as a value depends on it.

    Args:
        graph: The model.
        image: The input that is followed.
        call: The value; the only result if no convolution precedes it.
    """
    tapped = graph.value_of(call)
    moved: dict[str, frozenset[str]] = {image: frozenset()}
    found: list[StemInput] = []
    for node in graph.nodes_for([tapped], [image]):
        images = [value for value in node.input if value in moved]
        if node.op_type in CONVOLUTIONS | PRODUCTS | POOLS:
            found += [_stem_input(graph, node, value, moved[value]) for value in images if _is_image(graph, value)]
        elif images:
            names = frozenset().union(moving_operation(node.op_type), *(moved[value] for value in images))
            moved.update((value, names) for value in node.output if _may_hold_image(graph, value))
    if tapped not in moved:
        return found
    if not _is_image(graph, tapped):
        return []
    rows, columns = spatial_axes(call, 4)
    return [StemInput(tapped, graph.shape(tapped) or (), (rows, columns), (1, 1), moved[tapped])]


def is_unscaled(graph: Graph) -> bool:
    """Whether the model's first convolution receives the image as it is."""
    value = graph.inputs[0]
    while len(consumers := [node for node in graph.consumers(value) if node.op_type != "Shape"]) == 1:
        if consumers[0].op_type in CONVOLUTIONS:
            return True
        if consumers[0].op_type not in KEEPING:
            return False
        value = consumers[0].output[0]
    return False


def _is_image(graph: Graph, value: str) -> bool:
    return len(graph.shape(value) or ()) == 4


def _may_hold_image(graph: Graph, value: str) -> bool:
    shape = graph.shape(value)
    return graph.dtype(value).kind != "b" and (shape is None or has_positions(shape))


def _stem_input(graph: Graph, node: onnx.NodeProto, value: str, operations: frozenset[str]) -> StemInput:
    attributes = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    axes, window = (2, 3), (1, 1)
    if node.op_type in CONVOLUTIONS:
        kernel = attributes.get("kernel_shape") or [size or 1 for size in (graph.shape(node.input[1]) or ())[2:]]
        dilations = attributes.get("dilations") or [1, 1]
        rows, columns = ((size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True))
        window = (rows, columns)
    elif node.op_type in POOLS:
        shape = graph.shape(value) or ()
        rows, columns = attributes.get("kernel_shape") or [size or 1 for size in shape[2:]]
        window = (rows, columns)
    else:
        axes = (1, 2)
    return StemInput(value, graph.shape(value) or (), axes, window, operations)
