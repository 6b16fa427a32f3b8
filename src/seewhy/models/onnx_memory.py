"""How much memory an ONNX model needs when it is loaded and run, as far as its graph tells without running it.

A file of a few bytes can make tensors of any size: `ConstantOfShape`, `Expand` or `Range` make them from nothing, and
ONNX Runtime computes what depends on constants only while it loads the model.
"""

import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx.shape_inference

from seewhy.errors import ModelError
from seewhy.frameworks.onnx.support import named
from seewhy.models.onnx_tensor_sizes import BITS

BATCH, CHANNELS = 1, 3
SIDES = (224, 64, 32, 28, 256, 299, 384, 512, 640)
"""The sizes of an input (N, C, h, w) that the model leaves open; the first side is taken where there is no error."""

MAX_NODES = 20_000
"""The nodes of a graph that is judged without running it; the largest models have about 5,000."""

PLAIN_OPERATORS = frozenset(
    """
    Abs Add And AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant Conv CumSum DepthToSpace
    DequantizeLinear Div Dropout Elu Equal Erf Exp Flatten Floor Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish
    Identity InstanceNormalization LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization
    MatMul Max MaxPool Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear RMSNormalization Reciprocal ReduceL1
    ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Selu Shape Sigmoid
    Sign Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tanh ThresholdedRelu
    Transpose Unsqueeze Where
    """.split()  # noqa: SIM905 - a line for each would be a page
)
"""Operators that need about as much memory as their inputs and outputs have, whose shapes follow from those of the
inputs: not from values that the model computes."""

SIZE_INPUTS = {
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Tile": (1, 2),
    "Upsample": (1,),
}
"""The inputs of operators that say how large their output is."""


def fill_input_shapes(graph: Any) -> list[Any]:
    """Write a size in the place of each that the inputs of a graph leave open, and some shape where there is none.

    ONNX Runtime needs none, but `onnx.checker` does.

    Returns:
        The sides of images that were open, to which other sizes can be written.
    """
    for value in graph.output:
        value.type.tensor_type.shape.SetInParent()
    open_sides = []
    for value in graph.input:
        shape = value.type.tensor_type.shape
        if not value.type.tensor_type.HasField("shape"):
            shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(4))
        known = {side.dim_value for side in shape.dim[1:]}
        for axis, side in enumerate(shape.dim):
            if side.dim_value > 0:
                continue
            is_channels = axis == 1 and len(shape.dim) == 4 and known.isdisjoint({1, CHANNELS})
            side.dim_value = BATCH if axis == 0 else CHANNELS if is_channels else SIDES[0]
            open_sides += [side] if axis > 0 and not is_channels else []
    return open_sides


def clear_output_shapes(graph: Any) -> None:
    """Forget what a graph says of the shapes of its values, which need not be true."""
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def is_bounded(model: onnx.ModelProto, weight_sizes: Mapping[str, int], max_bytes: int) -> bool:
    """Whether a model needs at most `max_bytes` in all, and that is known from its graph.

    Args:
        model: The model, with `fill_input_shapes` applied.
        weight_sizes: The bytes of each tensor of weights, by name.
        max_bytes: The limit.
    """
    graph = model.graph
    if len(graph.node) > MAX_NODES or not all(map(_is_plain, graph.node)):
        return False
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except onnx.shape_inference.InferenceError:
        return False
    sizes: dict[str, int | None] = {"": 0, **weight_sizes}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        sizes.setdefault(value.name, _value_bytes(value))
    # Each node counts what it reads, too: ONNX Runtime may keep a copy of weights for each node that uses them.
    needed = [sizes.get(name) for node in inferred.node for name in (*node.input, *node.output)]
    return None not in needed and sum(size or 0 for size in needed) <= max_bytes


def check_sizes_from_values(graph: Any, weights: Container[str], path: Path) -> None:
    """Check that no size depends on the values of the inputs, so that running the model on zeros shows what it needs.

    Args:
        graph: The graph, in an order in which it can run.
        weights: The names of inputs that are weights.
        path: The file, for messages.

    Raises:
        ModelError: An operator makes a tensor whose size does.
    """
    from_values = {value.name for value in graph.input if value.name not in weights}
    for node in graph.node:
        sizes = [node.input[index] for index in SIZE_INPUTS.get(node.op_type, ()) if index < len(node.input)]
        if not from_values.isdisjoint(sizes):
            raise ModelError(
                f"{path} is refused: {named(node)} makes a tensor whose size depends on the colours of the image, so "
                "that it may fill the memory. If the file is your own, load it with trust=True (--trust on the command "
                "line)."
            )
        if node.op_type not in ("Shape", "Size") and not from_values.isdisjoint(node.input):
            from_values.update(node.output)


def _is_plain(node: Any) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type in PLAIN_OPERATORS


def _value_bytes(value: Any) -> int | None:
    """Return the bytes of a value; None if its shape or type is not known."""
    tensor = value.type.tensor_type
    sides = [side.dim_value for side in tensor.shape.dim if side.WhichOneof("value") == "dim_value"]
    is_known = tensor.HasField("shape") and len(sides) == len(tensor.shape.dim) and all(side >= 0 for side in sides)
    if not is_known or tensor.elem_type not in BITS:
        return None
    return int(math.prod(sides)) * max(1, BITS[tensor.elem_type] // 8)
