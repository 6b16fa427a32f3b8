"""The table of gradients: one row for each operator."""

from typing import TYPE_CHECKING

from onnx import NodeProto

from seewhy.frameworks.onnx.operators.activation import ACTIVATIONS
from seewhy.frameworks.onnx.operators.convolution import CONVOLUTIONS
from seewhy.frameworks.onnx.operators.elementwise import ELEMENTWISE
from seewhy.frameworks.onnx.operators.indexing import INDEXING
from seewhy.frameworks.onnx.operators.matrix import MATRIX
from seewhy.frameworks.onnx.operators.microsoft import MICROSOFT
from seewhy.frameworks.onnx.operators.normalization import NORMALIZATIONS
from seewhy.frameworks.onnx.operators.pooling import POOLING
from seewhy.frameworks.onnx.operators.reduction import REDUCTIONS
from seewhy.frameworks.onnx.operators.resize import RESIZE
from seewhy.frameworks.onnx.operators.shape import SHAPE

if TYPE_CHECKING:
    from seewhy.frameworks.onnx.operators.node_gradient import GradientRule

GRADIENTS: "dict[str, GradientRule]" = {
    **ELEMENTWISE,
    **ACTIVATIONS,
    **MATRIX,
    **SHAPE,
    **INDEXING,
    **REDUCTIONS,
    **POOLING,
    **CONVOLUTIONS,
    **NORMALIZATIONS,
    **RESIZE,
    **MICROSOFT,
}
"""The rule of each operator, by its name, with the domain before it if that is not ONNX's own."""

CONSTANT_ALMOST_EVERYWHERE = frozenset(
    (
        "Shape",
        "Size",
        "Floor",
        "Ceil",
        "Round",
        "Sign",
        "ArgMax",
        "ArgMin",
        "Hardmax",
        "OneHot",
        "NonZero",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "And",
        "Or",
        "Xor",
        "Not",
        "IsNaN",
        "IsInf",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "BitwiseNot",
        "EyeLike",
        "ConstantOfShape",
        "NonMaxSuppression",
        "RandomNormalLike",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
    )
)
"""Operators whose outputs do not change with their inputs, or change in steps: their gradient is 0."""


QUANTIZING = ("QuantizeLinear", "DynamicQuantizeLinear")
"""Operators that round to whole numbers of few bits, from which the rest of a model computes."""


def operator_name(node: NodeProto) -> str:
    """Return the name of a node's operator, with its domain if that is not ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
