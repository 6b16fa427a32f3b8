"""A head that takes nothing of a layer but its mean over space, found in a traced TensorFlow graph."""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from seewhy.types import Tensor

PASSING = ("Identity", "Cast")
"""Operations that hand every value on."""


def pooled_mean(tapped: Tensor, space: Iterable[int], outputs: Sequence[Tensor]) -> Tensor | None:
    """Return the mean of a tensor over all of its space, if the outputs depend on that alone.

    Args:
        tapped: In a graph that holds all that the model computes, and nothing else yet.
        space: Its axes of space.
        outputs: What of the model is asked.
    """
    rank = len(tapped.shape)
    while all(each is not tapped for each in outputs):
        readers = [operation for operation in tapped.consumers() if operation.type != "Shape"]
        if len(readers) != 1:
            return None
        (reader,) = readers
        if reader.type == "Mean":
            axes = tf.get_static_value(reader.inputs[1])
            is_over_space = axes is not None and {int(each) % rank for each in np.ravel(axes)} == set(space)
            return reader.outputs[0] if is_over_space else None
        if reader.type not in PASSING:
            return None
        (tapped,) = reader.outputs
    return None


def closed_form(scores: Tensor, mean: Tensor, activations: Tensor) -> Tensor | None:
    """Return the sum over channels of activations times gradients, at every position and for every score.

    Where the scores depend on the mean of the activations alone, that is the derivative of the score along the
    activations of each position, as if they were the mean's. TensorFlow goes backwards; going backwards twice is going
    forwards.

    Args:
        scores: (N, T), in the graph that is being traced.
        mean: What `pooled_mean` returned.
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
    along = tf.cast(positions / tf.cast(count, positions.dtype), mean.dtype)
    along = tf.reshape(along, tf.concat([[count], tf.shape(mean)], 0))
    found = tf.vectorized_map(lambda direction: tf.gradients(gradients, seeds, direction)[0], along)
    return tf.reshape(tf.transpose(found, [1, 2, 0]), tf.concat([tf.shape(scores), space], 0))
