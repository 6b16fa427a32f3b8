"""Ways in which Keras models compute attention, and what looks like attention and is none."""

import keras
from keras import layers, ops

TOKENS, WIDTH, HEADS = 6, 8, 2
GRID = (2, 3)
HEAD_SIZE = WIDTH // HEADS


class Attend(layers.Layer):
    """Attention written by hand; `changes` multiplies its map, as (1 + changes), which are 0."""

    def build(self, shape):
        self.query, self.key, self.value = (layers.Dense(WIDTH) for _ in range(3))
        self.changes = self.add_weight(name="changes", shape=self.map_shape, initializer="zeros", trainable=False)
        for layer in (self.query, self.key, self.value):
            layer.build(shape)

    map_shape = (HEADS, TOKENS, TOKENS)

    def changed(self, attention):
        """Return a map (N, *map_shape) multiplied with 1 + changes."""
        return attention * (1 + self.changes)


class Folded(Attend):
    """Attention heads are folded into the axis of the images; the softmax is written as exponentials over their sum."""

    def call(self, x):
        query, key, value = (self.fold(layer(x)) for layer in (self.query, self.key, self.value))
        exponentials = ops.exp(query @ ops.transpose(key, (0, 2, 1)))
        attention = exponentials / ops.sum(exponentials, axis=-1, keepdims=True)
        attention = self.changed(ops.reshape(attention, (-1, *self.map_shape)))
        mixed = ops.reshape(attention, (-1, TOKENS, TOKENS)) @ value
        mixed = ops.transpose(ops.reshape(mixed, (-1, HEADS, TOKENS, HEAD_SIZE)), (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, TOKENS, WIDTH))

    def fold(self, x):
        x = ops.transpose(ops.reshape(x, (-1, TOKENS, HEADS, HEAD_SIZE)), (0, 2, 1, 3))
        return ops.reshape(x, (-1, TOKENS, HEAD_SIZE))


class Windows(Attend):
    """Two windows of three tokens each are folded into the axis of the images."""

    map_shape = (2, HEADS, 3, 3)

    def call(self, x):
        query, key, value = (
            ops.reshape(layer(x), (-1, 3, HEADS, HEAD_SIZE)) for layer in (self.query, self.key, self.value)
        )
        attention = ops.softmax(ops.einsum("nqhd,nkhd->nhqk", query, key), axis=-1)
        attention = ops.reshape(self.changed(ops.reshape(attention, (-1, *self.map_shape))), (-1, HEADS, 3, 3))
        return ops.reshape(ops.einsum("nhqk,nkhd->nqhd", attention, value), (-1, TOKENS, WIDTH))


class QueriesFirst(Attend):
    """The axis of the queries comes before that of the images, and the softmax is over the axis between them."""

    map_shape = (1, TOKENS, TOKENS)

    def call(self, x):
        x = ops.transpose(x, (1, 0, 2))
        query, key, value = self.query(x), self.key(x), self.value(x)
        attention = ops.softmax(ops.einsum("qnc,knc->qkn", query, key), axis=1)
        attention = self.changed(ops.transpose(attention, (2, 0, 1))[:, None])
        return ops.einsum("nqk,knc->nqc", attention[:, 0], value)


class Grouped(Attend):
    """Two attention heads of queries share one of keys and values."""

    map_shape = (4, TOKENS, TOKENS)

    def call(self, x):
        query, key, value = self.query(x), self.key(x)[..., :4], self.value(x)[..., :4]
        query, key, value = (ops.reshape(each, (-1, TOKENS, each.shape[-1] // 2, 2)) for each in (query, key, value))
        return ops.reshape(ops.dot_product_attention(query, key, value), (-1, TOKENS, WIDTH))


class Talking(Attend):
    """Attention heads are mixed after the softmax, as in talking-heads attention."""

    def call(self, x):
        query, key, value = (
            ops.reshape(layer(x), (-1, TOKENS, HEADS, HEAD_SIZE)) for layer in (self.query, self.key, self.value)
        )
        attention = self.changed(ops.softmax(ops.einsum("nqhd,nkhd->nhqk", query, key) / 2))
        attention = ops.einsum("nhqk,hg->ngqk", attention, ops.eye(HEADS) + 0.5)
        return ops.reshape(ops.einsum("nhqk,nkhd->nqhd", attention, value), (-1, TOKENS, WIDTH))


class Channels(Attend):
    """Channels attend to channels, as in XCiT, and keys are a softmax of channels, as in linear attention."""

    def call(self, x):
        query, key, value = self.query(x), self.key(x), self.value(x)
        channels = ops.softmax(ops.transpose(query, (0, 2, 1)) @ key)
        x = ops.transpose(channels @ ops.transpose(value, (0, 2, 1)), (0, 2, 1))
        return x + ops.softmax(query) @ (ops.transpose(ops.softmax(key, axis=1), (0, 2, 1)) @ value)


class Gates(Attend):
    """Four experts are weighted by a softmax."""

    def call(self, x):
        mean = ops.mean(x, axis=1)
        experts = ops.stack([layer(mean) for layer in (self.query, self.key, self.value)], axis=1)
        weights = ops.softmax(self.query(mean)[:, :3])
        return x + ops.einsum("ne,nec->nc", weights, experts)[:, None]


class Mixed(Attend):
    """The softmax and weights of positions are added."""

    def call(self, x):
        attention = ops.softmax(self.query(x) @ ops.transpose(self.key(x), (0, 2, 1)))
        return (attention + ops.softmax(self.changes[0])) @ self.value(x)


class Uneven(Attend):
    """The images attend together with a copy of the first."""

    def call(self, x):
        x = ops.concatenate([x, x[:1]])
        attention = ops.softmax(self.query(x) @ ops.transpose(self.key(x), (0, 2, 1)))
        return (attention @ self.value(x))[:-1]


class InLoop(Attend):
    """Attention runs twice, in a loop of the backend."""

    def call(self, x):
        def attend(_, x):
            attention = ops.softmax(self.query(x) @ ops.transpose(self.key(x), (0, 2, 1)))
            return x + attention @ self.value(x)

        return ops.fori_loop(0, 2, attend, x)


class LearnedQuery(layers.Layer):
    """A learned query attends to all tokens."""

    def build(self, shape):
        self.attention = layers.MultiHeadAttention(HEADS, HEAD_SIZE)
        self.query = self.add_weight(name="query", shape=(1, 1, WIDTH), initializer="normal")

    def call(self, x):
        return self.attention(ops.repeat(self.query, ops.shape(x)[0], axis=0), x)


def model(*kinds):
    """Build a model of patches, through kinds of attention with skip connections, to logits."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*GRID, 3))
    x = layers.Reshape((TOKENS, WIDTH))(layers.Conv2D(WIDTH, 1)(image))
    for kind in kinds:
        attended = kind(x)
        x = x + attended
    return keras.Model(image, layers.Dense(3, kernel_initializer="normal")(ops.mean(x * x, axis=1)))


def self_attention(layer):
    """Return a Keras layer that takes query, keys and values as self-attention."""
    if isinstance(layer, layers.AdditiveAttention):
        return lambda x: layer([x, x])
    return lambda x: layer(x, x)


def over_grid(layer):
    """Return attention over two axes of space."""
    return lambda x: layers.Reshape((TOKENS, WIDTH))(self_attention(layer)(layers.Reshape((*GRID, WIDTH))(x)))
