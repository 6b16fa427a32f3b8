"""The large dense layers of a head, in a traced TensorFlow graph, and their backward pass for several targets.

Of VGG16's head the first dense layer takes nearly all of the time: its kernel has 411 MB at 224 pixels. TensorFlow's
`MatMul` multiplies a few rows with a transposed kernel in three times as long as it takes to read the kernel. From four
rows on, `BatchMatMul` takes half of that; below, `MatMul` is the faster one.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seewhy.frameworks.tensorflow.trunk_and_head import carrying_tensors, head_operations
from seewhy.types import NativeTensor

MIN_SIZE = 2**22
"""The size of a kernel from which on its product is computed apart from other operations."""

MIN_ROWS = 4
"""The number of rows from which on `BatchMatMul` takes less time."""


class DenseProduct(NamedTuple):
    """A product that all gradients flow through.

    Attributes:
        given: (N, inputs), what is multiplied.
        kernel: (inputs, units), which does not depend on the tapped output.
        product: (N, units).
    """

    given: NativeTensor
    kernel: NativeTensor
    product: NativeTensor

    def backward(self, gradients: NativeTensor) -> NativeTensor:
        """Return the gradients (T, N, inputs) by what is multiplied, of those (T, N, units) by the product."""
        shape, kernel = tf.shape(gradients), self.kernel
        rows = tf.reshape(gradients, [-1, kernel.shape[1]])
        products = tf.cond(
            tf.shape(rows)[0] < MIN_ROWS,
            lambda: tf.matmul(rows, kernel, transpose_b=True),
            lambda: tf.raw_ops.BatchMatMulV2(x=rows[None], y=kernel[None], adj_y=True)[0],
        )
        return tf.reshape(products, [shape[0], shape[1], kernel.shape[0]])


def find_dense_products(tapped: NativeTensor, fetches: Sequence[NativeTensor]) -> list[DenseProduct]:
    """Return the products with large kernels that no path from a tensor to `fetches` bypasses, the last one first.

    None where another device than the processor may compute them.

    Args:
        tapped: In a graph that holds the model.
        fetches: The model outputs that the objective reads, in the same graph.
    """
    if {device.device_type for device in tf.config.list_logical_devices()} != {"CPU"}:
        return []
    head = head_operations(tapped)
    found = [operation for operation in head if _is_large_product(operation) and operation.inputs[1].op not in head]
    if not found or any(tensor.graph is not tapped.graph for tensor in fetches):
        return []
    carriers = carrying_tensors([tapped], fetches)
    order = {operation: position for position, operation in enumerate(tapped.graph.get_operations())}
    found = [operation for operation in found if operation.outputs[0].ref() in carriers]
    return [
        DenseProduct(operation.inputs[0], operation.inputs[1], operation.outputs[0])
        for operation in sorted(found, key=order.__getitem__, reverse=True)
    ]


def _is_large_product(operation: Any) -> bool:
    """Whether an operation multiplies with a large matrix that is stored as a dense layer stores it."""
    if operation.type != "MatMul" or operation.get_attr("transpose_a") or operation.get_attr("transpose_b"):
        return False
    given, kernel = operation.inputs
    is_known = kernel.shape.is_fully_defined() and kernel.dtype == given.dtype == tf.float32
    return bool(is_known and math.prod(kernel.shape) >= MIN_SIZE)
