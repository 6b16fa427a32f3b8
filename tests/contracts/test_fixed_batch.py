"""Models that take batches of one size only, on every Keras backend, and what other models of that kind are told."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import seewhy
from seewhy.errors import LayerError, ModelError, ModelRunError

IMAGES = np.random.default_rng(0).random((7, 8, 8, 3)).astype(np.float32)


def model_of(batch, structure=lambda x: x):
    """Build a classifier for batches of this size, which fails on any other; for any size if it is None."""
    image = keras.Input((8, 8, 3)) if batch is None else keras.Input(batch_shape=(batch, 8, 8, 3))
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")(image)
    more = layers.Conv2D(4, 3, activation="relu", padding="same", name="more")(maps)
    # A skip connection, so that a tensor bypasses the layer "more".
    flat = ops.reshape(layers.Add()([maps, more]), (-1 if batch is None else batch, 144))
    model = keras.Model(structure(image), layers.Dense(3, activation="softmax", name="dense")(flat))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape).astype(np.float32) for weight in model.weights])
    return model


@functools.cache
def classifier_of(batch):
    """Build the classifier that tests share, and with it what is compiled."""
    return seewhy.Classifier(model_of(batch))


@pytest.mark.parametrize("batch", [1, 4])
def test_any_number_of_images(batch):
    fixed, free = (seewhy.Explainer(classifier_of(size), layer="maps") for size in (batch, None))
    for images in (1, 3, 4, 7):
        inputs, targets = IMAGES[:images], [[row % 3, (row + 1) % 3] for row in range(images)]
        for target in ("top-2", targets):
            ours, theirs = fixed.heatmaps(inputs, target), free.heatmaps(inputs, target)
            np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-4, atol=1e-6)
            for name in ("scores", "probabilities", "outputs", "indices"):
                np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["ablationcam", "scorecam", "occlusion", "smoothgrad", "integrated_gradients"])
def test_perturbations_of_a_model_with_a_fixed_batch_size(method):
    inputs, targets = IMAGES[:2], [[0], [2]]
    expected = seewhy.Explainer(classifier_of(None), method, layer="more").heatmaps(inputs, targets)
    explainer = seewhy.Explainer(classifier_of(4), method, layer="more")
    for batch_size in (1, 16):
        heatmaps = explainer.heatmaps(inputs, targets, batch_size=batch_size)
        np.testing.assert_allclose(
            heatmaps.values, expected.values, rtol=1e-3, atol=1e-4 * np.abs(expected.values).max()
        )


def test_prediction():
    pictures = list((IMAGES * 90).astype(np.uint8))
    fixed, free = (seewhy.Classifier(model_of(size, lambda x: [x])).predict(pictures) for size in (4, None))
    assert [[each.index for each in row] for row in fixed] == [[each.index for each in row] for row in free]
    np.testing.assert_allclose([row[0].probability for row in fixed], [row[0].probability for row in free], rtol=1e-4)


def test_outputs_in_a_dict_are_joined_too():
    image = keras.Input(batch_shape=(4, 8, 8, 3))
    maps = layers.Conv2D(2, 3, name="maps")(image)
    mean = layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(image, {"mean": mean, "first": mean[:, :1]})
    heatmaps = seewhy.Explainer(model).heatmaps(IMAGES, seewhy.targets.AllOutputs(lambda outputs: outputs["first"]))
    expected = model(np.concatenate([IMAGES, IMAGES[:1]])[:4])
    np.testing.assert_allclose(heatmaps.outputs["mean"][:4], ops.convert_to_numpy(expected["mean"]), rtol=1e-5)
    assert heatmaps.outputs["first"].shape == heatmaps.scores.shape == (7, 1)


def test_the_calls_of_layers_are_those_of_a_full_batch():
    calls = classifier_of(4).framework.calls(IMAGES[:1])
    assert [(call.path, call.shape) for call in calls if call.has_space][:2] == [
        ("maps", (6, 6, 4)),
        ("more", (6, 6, 4)),
    ]


def test_inputs_for_different_numbers_of_images_are_refused():
    images = [keras.Input(batch_shape=(size, 4, 4, 1)) for size in (1, 4)]
    model = keras.Model(images, [layers.Flatten()(image) for image in images])
    with pytest.raises(ModelError, match=r"were built for different numbers of images: \[1, 4\]"):
        seewhy.Explainer(model)


def test_a_layer_that_folds_axes_into_the_batch():
    image = keras.Input(batch_shape=(2, 4, 4, 4, 1))
    folded = layers.Conv2D(1, 1, name="folded")(ops.reshape(image, (8, 4, 4, 1)))
    model = keras.Model(image, layers.Dense(2)(ops.reshape(folded, (2, 64))))
    with pytest.raises(LayerError, match="'folded' has 8 rows for 2 images"):
        seewhy.Explainer(model, layer="folded").heatmaps(np.ones((8, 4, 4, 4, 1), np.float32), 0)


class OneAtATime(keras.Model):
    """Takes one image at a time, which Keras does not know."""

    def __init__(self):
        super().__init__()
        self.maps, self.dense = layers.Conv2D(2, 3, name="maps"), layers.Dense(3)

    def call(self, images):
        return self.dense(self.reshaped(self.maps(images)))

    def reshaped(self, maps):
        return ops.reshape(maps, (1, 72))


class Averaging(OneAtATime):
    """Gives one answer for all of its images."""

    def reshaped(self, maps):
        return ops.mean(ops.reshape(maps, (-1, 72)), axis=0, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(OneAtATime, "batch of .* perturbations of one image"), (Averaging, "1 rows of outputs for a batch of 16 pert")],
)
def test_a_model_that_turns_out_to_take_one_image_only(kind, message):
    model = kind()
    model(IMAGES[:1])
    explainer = seewhy.Explainer(model, "occlusion")
    with pytest.raises(ModelRunError, match=message + ".*give that size: batch_size=1"):
        explainer.heatmaps(IMAGES[:1], [0])
    one_by_one = explainer.heatmaps(IMAGES[:1], [0], batch_size=1)
    assert one_by_one.values.shape == (1, 1, 8, 8)
    assert one_by_one.values.max() > 0


def test_one_answer_for_several_images_is_refused():
    model = Averaging()
    model(IMAGES)
    with pytest.raises(ModelRunError, match="1 rows of class scores for 2 images; expected one for each"):
        seewhy.Explainer(model).heatmaps(IMAGES[:2], [0])
