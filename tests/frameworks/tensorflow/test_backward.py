"""The backward passes of several targets at once, against one backward pass for each target, taken eagerly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seewhy
from seewhy.frameworks.tensorflow import backward
from seewhy.frameworks.tensorflow.backward import bytes_of_pass

TARGETS = [4, 0, 2, 2, 1]
"""Five classes, one of them twice: no number of chunks but one divides them."""


def dense_head():
    """As VGG16's: pooling, and dense layers."""
    return [
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(7, activation="elu"),
        keras.layers.Dense(5),
    ]


def convolutional_head():
    """Convolutions of three kinds, a normalisation and a strided mean."""
    return [
        keras.layers.Conv2D(4, 3, padding="same", activation="silu"),
        keras.layers.DepthwiseConv2D(3, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.Conv2D(3, 1, strides=2, activation="relu6"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(5),
    ]


class LocalNormalization(keras.layers.Layer):
    """Normalises over neighbouring channels; TensorFlow cannot vectorise the gradient of it."""

    def call(self, inputs):
        return tf.nn.local_response_normalization(inputs, depth_radius=1, bias=0.5)


def head_that_does_not_vectorize():
    return [LocalNormalization(), keras.layers.Flatten(), keras.layers.Dense(5)]


HEADS = [dense_head, convolutional_head, head_that_does_not_vectorize]


def model_of(head):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, padding="same", name="features")])
    for layer in head():
        model.add(layer)
    for variable in model.weights:  # of a normalisation too
        variable.assign(np.random.default_rng(variable.shape.num_elements()).uniform(0.1, 0.9, variable.shape) - 0.4)
    for variable in model.non_trainable_weights:
        variable.assign(np.abs(variable.numpy()) + 0.5)
    return model


def images(count=3):
    return np.random.default_rng(0).normal(size=(count, 8, 8, 3)).astype(np.float32)


def hirescam(model, batch, targets):
    """Sum activations times gradients over the channels, with a backward pass for each target."""
    activations = model.layers[0](batch)
    heatmaps = []
    for target in targets:
        with tf.GradientTape() as tape:
            tape.watch(activations)
            outputs = activations
            for layer in model.layers[1:]:
                outputs = (
                    layer(outputs, training=False)
                    if isinstance(layer, keras.layers.BatchNormalization)
                    else layer(outputs)
                )
            score = tf.reduce_sum(outputs[:, target])
        heatmaps.append(tf.reduce_sum(activations * tape.gradient(score, activations), axis=-1))
    return np.stack(heatmaps, axis=1)


@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("head", HEADS)
def test_targets_at_once_give_what_each_gives_alone(head, chunk, monkeypatch):
    model, batch = model_of(head), images()
    if chunk is not None:
        largest = 4 * 8 * 8 * 4  # bytes of the tapped output, of which all others are as large at most
        monkeypatch.setattr(backward, "VECTORIZED_BYTES", chunk * len(batch) * backward.TENSORS_AT_ONCE * largest)
    explainer = seewhy.Explainer(model, "hirescam", layer="features", signed=True)
    found, expected = explainer.heatmaps(batch, TARGETS).values, hirescam(model, batch, TARGETS)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max(), rtol=0)
    one = explainer.heatmaps(batch[1:2], TARGETS[:1]).values  # by the same graph
    np.testing.assert_allclose(one, expected[1:2, :1], atol=1e-6 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize(
    ("targets", "images", "chunks", "size"),
    [(5, 1, 1, 5), (5, 4, 2, 3), (5, 10, 5, 1), (5, 1000, 5, 1), (1, 1000, 1, 1), (40, 2, 4, 10)],
)
def test_chunks_are_as_equal_as_they_can_be_within_the_memory(targets, images, chunks, size, monkeypatch):
    """Ten passes of one image fit, and twenty do not: 40 targets of 2 images take more chunks than 5 of 4."""
    monkeypatch.setattr(backward, "VECTORIZED_BYTES", 2**34 + 2**33)
    pass_bytes = (2**34 + 2**33) // (20 if targets == 40 else 12)
    found = backward._chunks(tf.constant(targets), tf.constant(images), pass_bytes)
    assert tuple(map(int, found)) == (chunks, size)


def bytes_in(forward, shape=(None, 4, 4, 8)):
    """Return what `bytes_of_pass` finds in a graph of `forward`."""
    found = []

    def trace(values):
        tapped = tf.identity(values)
        forward(tapped)
        found.append(bytes_of_pass(tapped, None))

    tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec(shape))
    return found[0]


def attention(values):
    queries = tf.reshape(values, [-1, 16, 2, 4])
    scores = tf.matmul(tf.transpose(queries, [0, 2, 1, 3]), tf.transpose(queries, [0, 2, 3, 1]))
    return tf.nn.softmax(scores)


def attention_of_one_head(values):
    tokens = tf.reshape(values, [-1, 16, 8])
    return tf.matmul(tokens, tokens, transpose_b=True)


def weights_of_tokens(values):
    return tf.matmul(tf.reshape(values, [-1, 16, 8]), tf.ones((8, 3)))


@tf.function
def function_of_the_model(values):
    return tf.nn.relu(values)


def of_unknown_rank(values):
    return tf.reshape(values, tf.unique(tf.shape(values))[0])


def test_the_memory_of_a_pass_is_that_of_its_largest_tensors():
    wide = lambda values: tf.nn.conv2d(values, tf.ones((1, 1, 8, 100)), 1, "SAME")  # noqa: E731
    assert bytes_in(tf.nn.relu) == backward.TENSORS_AT_ONCE * 4 * 4 * 4 * 8
    assert bytes_in(lambda values: tf.nn.max_pool2d(values, 2, 2, "VALID")) == backward.TENSORS_AT_ONCE * 4 * 4 * 4 * 8
    assert bytes_in(lambda values: tf.nn.relu(wide(values))) == backward.TENSORS_AT_ONCE * 4 * 4 * 4 * 100


@pytest.mark.parametrize(
    ("forward", "shape"),
    [
        (attention, (None, 4, 4, 8)),
        (attention_of_one_head, (None, 4, 4, 8)),
        (weights_of_tokens, (None, 4, 4, 8)),
        (function_of_the_model, (None, 4, 4, 8)),
        (tf.nn.relu, (None, None, 4, 8)),
        (of_unknown_rank, (None, 4, 4, 8)),
    ],
)
def test_heads_that_are_not_vectorized(forward, shape):
    """Attention, which would end the process; a graph of its own, which may hold some; tensors of unknown sizes."""
    assert bytes_in(forward, shape) is None


def test_attention_after_the_layer_gives_what_each_target_gives_alone():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3, strides=2, name="features")(inputs)
    tokens = keras.layers.Reshape((9, 4))(features)
    attended = keras.layers.MultiHeadAttention(2, 2)(tokens, tokens)
    outputs = keras.layers.Dense(5)(keras.layers.Flatten()(attended))
    explainer = seewhy.Explainer(keras.Model(inputs, outputs), "hirescam", layer="features", signed=True)
    together = explainer.heatmaps(images(), TARGETS).values
    for place, target in enumerate(TARGETS):
        alone = explainer.heatmaps(images(), [target]).values[:, 0]
        np.testing.assert_allclose(together[:, place], alone, atol=1e-6 * np.abs(alone).max(), rtol=0)


@pytest.mark.parametrize("method", ["hirescam", "ablationcam"])
@pytest.mark.parametrize("mix", [keras.layers.Attention(), keras.layers.Dot(2)])
def test_products_of_all_tokens_do_not_end_the_process(method, mix):
    """One image and several targets or perturbations: as a product of four axes, it would write past its memory."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((12, 12, 3))
    features = keras.layers.Conv2D(6, 3, padding="same", name="features")(inputs)
    tokens = keras.layers.Reshape((144, 6))(features)
    outputs = keras.layers.Dense(5)(keras.layers.GlobalMaxPooling1D()(mix([tokens, tokens])))
    explainer = seewhy.Explainer(keras.Model(inputs, outputs), method, layer="features", signed=True)
    image = np.random.default_rng(0).normal(size=(1, 12, 12, 3)).astype(np.float32)
    together = explainer.heatmaps(image, [2, 0]).values
    alone = np.concatenate([explainer.heatmaps(image, [target]).values for target in (2, 0)], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-6 * np.abs(alone).max(), rtol=0)


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_products_of_tokens_made_of_a_mean_do_not_end_the_process(method):
    """Where a closed form by the mean, and all targets at once, would be vectorised."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((12, 12, 3))
    features = keras.layers.Conv2D(6, 3, name="features")(inputs)
    tokens = keras.layers.Dense(144 * 6)(keras.layers.GlobalAveragePooling2D()(features))
    tokens = keras.layers.Reshape((144, 6))(tokens)
    mixed = keras.layers.Dot(2)([tokens, tokens])
    outputs = keras.layers.Dense(5)(keras.layers.GlobalMaxPooling1D()(mixed))
    explainer = seewhy.Explainer(keras.Model(inputs, outputs), method, layer="features", signed=True)
    image = np.random.default_rng(0).normal(size=(1, 12, 12, 3)).astype(np.float32)
    together = explainer.heatmaps(image, [2, 0]).values
    alone = np.concatenate([explainer.heatmaps(image, [target]).values for target in (2, 0)], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-6 * np.abs(alone).max(), rtol=0)
