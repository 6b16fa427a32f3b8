"""The array namespace of TensorFlow: `keras.ops`, with fewer operations where Keras makes many of a common function.

Every operation of a graph, and of its gradient, takes time when a model is traced.
"""

from typing import Any, final

import keras
import tensorflow as tf

from seewhy.types import NativeTensor


@final
class TensorflowNamespace:
    """`keras.ops`, but for the functions below.

    Args:
        is_vectorized: Whether gradients are traced in `tf.vectorized_map`, which cannot vectorize that of GatherNd.
    """

    def __init__(self, *, is_vectorized: bool = False) -> None:
        self._is_vectorized = is_vectorized

    def __getattr__(self, name: str) -> Any:
        return getattr(keras.ops, name)

    def take_along_axis(self, x: NativeTensor, indices: NativeTensor, axis: int | None = None) -> NativeTensor:
        """Return the values of `x` at `indices` along an axis.

        For indices (N, T) of the last axis of (N, C), as classes are, Keras traces some 60 operations, which allow for
        shapes that broadcast, and some 60 more for the gradient. GatherNd and its gradient are 10; Gather of one flat
        axis and its gradient are 35.
        """
        if len(x.shape) != 2 or len(indices.shape) != 2 or axis not in (-1, 1):
            return keras.ops.take_along_axis(x, indices, axis)
        rows = tf.cumsum(tf.raw_ops.OnesLike(x=indices), axis=0, exclusive=True)
        # A model may give one row for several images, which is refused later, in words; other numbers fail here.
        last = tf.shape(x)[0] - 1 if x.shape[0] is None else x.shape[0] - 1
        rows *= tf.cast(tf.minimum(last, 1), rows.dtype)
        if not self._is_vectorized:
            return tf.gather_nd(x, tf.stack([rows, indices], axis=-1))
        classes = tf.cast(tf.shape(x)[1] if x.shape[1] is None else x.shape[1], indices.dtype)
        return tf.gather(tf.reshape(x, [-1]), rows * classes + indices)


VECTORIZED = TensorflowNamespace(is_vectorized=True)
