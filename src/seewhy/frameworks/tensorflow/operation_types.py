"""Types of TensorFlow's operations, by what the operations do."""

SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
"""Operations whose results depend on the shape of their operand and not on its values."""

PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
"""Operations that multiply matrices."""

CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative", "Conv3D"})
