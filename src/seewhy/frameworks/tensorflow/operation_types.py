"""Types of TensorFlow's operations, by what the operations do."""

from typing import Any

SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
"""Operations whose results depend on the shape of their operand and not on its values."""

PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
"""Operations that multiply matrices."""

CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative", "Conv3D"})

OPAQUE_OPERATIONS = {
    "Case": "branch",
    "If": "branch",
    "PartitionedCall": "tf.function",
    "StatefulPartitionedCall": "tf.function",
    "StatelessCase": "branch",
    "StatelessIf": "branch",
    "StatelessWhile": "loop",
    "While": "loop",
}
"""Operations that run a graph of their own, which is not part of the model's graph."""


def is_batched_product(operation: Any) -> bool:
    """Whether an operation multiplies a matrix for each image, as attention does; True if a rank is not known.

    With one more axis, for targets or perturbations, kernels of oneDNN may write where they must not, and end the
    process: where the products have five axes, or have four and an operand has 1 where another has several.
    """
    if operation.type not in PRODUCTS:
        return False
    ranks = [tensor.shape.rank for tensor in (*operation.inputs, *operation.outputs)]
    return any(rank is None or rank > 2 for rank in ranks)
