"""Heads that read only the spatial mean of a layer, found in a traced TensorFlow graph, and their closed form."""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from seewhy.frameworks.tensorflow.operation_types import OPAQUE_OPERATIONS, is_batched_product
from seewhy.frameworks.tensorflow.trunk_and_head import head_operations
from seewhy.types import NativeTensor

VALUE_PRESERVING = ("Identity", "Cast")
"""Operations that keep every value."""


def pooled_mean(outputs: Sequence[NativeTensor], tapped: NativeTensor, space: Iterable[int]) -> NativeTensor | None:
    """Return the spatial mean of a tensor; None if the outputs depend on more than that mean.

    None too where the head after the mean must not be vectorised, see `bytes_of_pass`.

    Args:
        outputs: The model outputs that the objective reads.
        tapped: In a graph that holds the model and nothing else yet.
        space: The spatial axes of `tapped`.
    """
    rank = len(tapped.shape)
    while all(output is not tapped for output in outputs):
        consumers = [operation for operation in tapped.consumers() if operation.type != "Shape"]
        if len(consumers) != 1:
            return None
        (consumer,) = consumers
        if consumer.type == "Mean":
            axes = tf.get_static_value(consumer.inputs[1])
            is_over_space = axes is not None and {int(axis) % rank for axis in np.ravel(axes)} == set(space)
            return consumer.outputs[0] if is_over_space and _is_vectorizable(consumer.outputs[0]) else None
        if consumer.type not in VALUE_PRESERVING:
            return None
        (tapped,) = consumer.outputs
    return None


def _is_vectorizable(mean: NativeTensor) -> bool:
    """Whether what is computed from a mean may be given one more axis."""
    operations = head_operations(mean)
    return not any(operation.type in OPAQUE_OPERATIONS or is_batched_product(operation) for operation in operations)


def closed_form(scores: NativeTensor, mean: NativeTensor, activations: NativeTensor) -> NativeTensor | None:
    """Return the sum over channels of activations times gradients, at every position and for every score.

    Where the scores depend only on the mean of the activations, this is the directional derivative of each score by
    the mean, along the activations of each position. A graph has backward passes only; differentiating the backward
    pass gives the forward derivative.

    Args:
        scores: (N, T), in the graph that is being traced.
        mean: The result of `pooled_mean`.
        activations: (N, *space, K).

    Returns:
        (N, T, *space); None where no gradient reaches the mean.
    """
    shape = tf.shape(activations)
    images, space, channels = shape[0], shape[1:-1], shape[-1]
    count = tf.reduce_prod(space)
    seeds = tf.zeros_like(scores)
    (gradients,) = tf.gradients(scores, mean, seeds)  # linear in the seeds
    if gradients is None:
        return None
    positions = tf.transpose(tf.reshape(activations, [images, count, channels]), [1, 0, 2])
    directions = tf.cast(positions / tf.cast(count, positions.dtype), mean.dtype)
    directions = tf.reshape(directions, tf.concat([[count], tf.shape(mean)], 0))
    derivatives = tf.vectorized_map(lambda direction: tf.gradients(gradients, seeds, direction)[0], directions)
    return tf.reshape(tf.transpose(derivatives, [1, 2, 0]), tf.concat([tf.shape(scores), space], 0))
