"""Types of TensorFlow's operations, by what the operations do."""

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
