"""The transformer of `attention_reference` in Keras; `transformer_in_torch` builds the same."""

import keras
from keras import layers, ops
from tests.contracts import attention_reference as reference

HEAD_SIZE = reference.WIDTH // reference.HEADS


def split(x):
    return ops.reshape(x, (-1, x.shape[1], reference.HEADS, HEAD_SIZE))


def attend(kind, x, block):
    """Return multi-head attention: Keras's layer, or four products computed in steps or fused."""
    if kind == "layer":
        layer = layers.MultiHeadAttention(reference.HEADS, HEAD_SIZE, use_bias=False)
        result = layer(x, x)
        split_kernels = [
            block[name].reshape(reference.WIDTH, reference.HEADS, -1) for name in ("query", "key", "value")
        ]
        layer.set_weights([*split_kernels, block["out"].reshape(reference.HEADS, HEAD_SIZE, -1)])
        return result
    query, key, value = (split(dense(block[name])(x)) for name in ("query", "key", "value"))
    if kind == "fused":
        attended = ops.dot_product_attention(query, key, value)
    else:
        scores = ops.einsum("nqhd,nkhd->nhqk", query, key) / HEAD_SIZE**0.5
        attended = ops.einsum("nhqk,nkhd->nqhd", ops.softmax(scores, axis=-1), value)
    return dense(block["out"])(ops.reshape(attended, (-1, x.shape[1], reference.WIDTH)))


def dense(kernel):
    """Return a layer that multiplies with a kernel."""
    layer = layers.Dense(kernel.shape[1], use_bias=False)
    layer.build((None, kernel.shape[0]))
    layer.set_weights([kernel])
    return layer


def transformer(kind="layer", tokens="first", *, is_branched=False):
    """Build it with attention as a "layer", "explicit" or "fused"; its head reads the "first" token or the "mean".

    In branches, all blocks read the embedded patches, and their results are added.
    """
    given = reference.weights()
    image = keras.Input((*reference.SIZE, 3))
    patches = layers.Conv2D(reference.WIDTH, reference.PATCH, strides=reference.PATCH, use_bias=False)
    x = layers.Reshape((-1, reference.WIDTH))(patches(image))
    patches.set_weights([given.patches.reshape(reference.PATCH, reference.PATCH, 3, reference.WIDTH)])
    if tokens == "first":
        x = ops.concatenate([ops.zeros_like(x[:, :1]) + given.token, x], axis=1)
    embedded = x
    for block in given.blocks:
        read = embedded if is_branched else x
        normal = layers.LayerNormalization(epsilon=reference.EPSILON, center=False, scale=False)(read)
        x = x + attend(kind, normal, block)
    return keras.Model(image, dense(given.head)(x[:, 0] if tokens == "first" else ops.mean(x, axis=1)))
