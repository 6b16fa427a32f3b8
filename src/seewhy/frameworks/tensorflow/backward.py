"""The backward passes of all targets through the head, in a traced TensorFlow graph.

They are vectorised: one computation with one more axis for the targets, which reads each weight once for all of them.
So several targets go together, as many as a bounded memory holds. A loop in the graph runs one target at a time where
the head holds what must not be vectorised.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from seewhy.frameworks.layers import no_gradient
from seewhy.frameworks.non_relu import GUIDED_RULES
from seewhy.frameworks.tensorflow.dense_products import DenseProduct
from seewhy.frameworks.tensorflow.operation_types import OPAQUE_OPERATIONS, is_batched_product
from seewhy.frameworks.tensorflow.tap import TensorflowTap
from seewhy.frameworks.tensorflow.trunk_and_head import head_operations
from seewhy.types import GradientRule, NativeTensor

VECTORIZED_BYTES = 2**28
"""How much memory the backward passes that are vectorised together may take."""

TENSORS_AT_ONCE = 4
"""How many tensors of the size of the head's largest one a backward pass holds at a time: the gradients on both sides
of an operation, and copies of the operands that it needs for each target."""


def gradients(
    tape: tf.GradientTape | None,
    scores: NativeTensor,
    tap: TensorflowTap,
    gradient_rule: GradientRule,
    *,
    pass_bytes: int | None,
    products: Sequence[DenseProduct] = (),
) -> NativeTensor:
    """Return the gradients (T, N, ...) of scores (N, T), in the layer's own layout. N and T may vary between calls.

    No score may depend on more than one image: the gradient of a target's scores, summed, is each image's own.

    Without a tape, and by a rule, they are those of the graph: a tape ignores overridden gradients.

    Args:
        tape: Recorded the head; None where it could not.
        scores: (N, T), in the graph that is being traced.
        tap: Holds the tapped output.
        gradient_rule: How gradients flow.
        pass_bytes: The result of `bytes_of_pass`.
        products: The result of `find_dense_products`. A vectorised pass is divided there.
    """
    ones, targets = tf.raw_ops.OnesLike(x=scores), tf.shape(scores)[1]
    is_of_graph = tape is None or gradient_rule in GUIDED_RULES
    sources = [tap.output] if is_of_graph else [*(each.product for each in products), tap.output]

    def backward(seed: NativeTensor, source: NativeTensor = tap.output) -> NativeTensor:
        if tape is None or is_of_graph:
            (gradient,) = tf.gradients(scores, source, grad_ys=ones * seed)
        else:
            gradient = tape.gradient(scores, source, output_gradients=ones * seed)
        if gradient is None:
            raise no_gradient(tap.path)
        return gradient

    def vectorized(seeds: NativeTensor) -> NativeTensor:
        # An operation that TensorFlow cannot vectorise becomes a loop of its own.
        found = tf.vectorized_map(partial(backward, source=sources[0]), seeds, warn=False)
        for product, source in zip(products, sources[1:], strict=False):  # no sources where a graph is differentiated
            found = product.backward(found)
            if product.given is not source:
                found = tf.vectorized_map(partial(_through, tape, product.given, source), found, warn=False)
        return found

    if not pass_bytes:
        seeds = tf.one_hot(tf.range(targets), targets)
        return (
            vectorized(seeds) if pass_bytes == 0 else tf.map_fn(backward, seeds, fn_output_signature=tap.output.dtype)
        )
    chunks, size = _chunks(targets, tf.shape(scores)[0], pass_bytes)
    seeds = tf.one_hot(tf.range(chunks * size), targets)  # 0 for what fills the last chunk
    by_chunk = tf.map_fn(
        vectorized,
        tf.reshape(seeds, [chunks, size, targets]),
        fn_output_signature=tf.TensorSpec([None, *tap.output.shape], tap.output.dtype),
        parallel_iterations=1,
    )
    return tf.reshape(by_chunk, tf.concat([[chunks * size], tf.shape(tap.output)], 0))[:targets]


def _through(tape: Any, tensor: NativeTensor, source: NativeTensor, gradient: NativeTensor) -> NativeTensor:
    """Return the gradient by a source of the gradient by a tensor that is computed from it."""
    return tape.gradient(tensor, source, output_gradients=gradient)


def _chunks(targets: NativeTensor, images: NativeTensor, pass_bytes: int) -> tuple[NativeTensor, NativeTensor]:
    """Return how many chunks the targets make, and the size of each: as equal as they can be within the memory."""
    most = VECTORIZED_BYTES // (tf.cast(tf.maximum(images, 1), tf.int64) * pass_bytes)
    most = tf.cast(tf.clip_by_value(most, 1, tf.cast(tf.maximum(targets, 1), tf.int64)), tf.int32)
    chunks = tf.maximum((targets + most - 1) // most, 1)
    return chunks, (targets + chunks - 1) // chunks


def bytes_of_pass(tapped: NativeTensor, mean: NativeTensor | None) -> int | None:
    """Return the memory that a vectorised backward pass takes for each target of an image; 0 if it is next to none.

    None where the head must not be vectorised: where it multiplies a matrix for each image, as attention does; where it
    runs a graph of its own, which may do so; and where the size of a tensor is known only when it runs.

    Args:
        tapped: In a graph that holds the model and nothing else yet.
        mean: The result of `pooled_mean`.
    """
    if mean is not None:
        return 0
    head, largest = head_operations(tapped), 1
    for operation in head:
        ranks = [tensor.shape.rank for tensor in operation.outputs]
        if operation.type in OPAQUE_OPERATIONS or None in ranks or is_batched_product(operation):
            return None
    for tensor in (tapped, *(tensor for operation in head for tensor in operation.outputs)):
        sizes = [size for size in tensor.shape if size is not None]
        if len(sizes) < tensor.shape.rank - 1:  # one size that is not known is the number of images
            return None
        largest = max(largest, tensor.dtype.size * math.prod(sizes))
    return TENSORS_AT_ONCE * largest
