"""Functions in a traced model: SavedModels, tf.function, and functions with a derivative of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import seewhy
from seewhy.errors import LayerError, MethodError, NoGradientError

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)


def classifier():
    image = keras.Input((8, 8, 2))
    maps = layers.Conv2D(3, 3, activation="relu", name="maps")(image)
    logits = layers.Dense(3, name="dense")(layers.Flatten()(maps))
    model = keras.Model(image, layers.Activation("softmax")(logits))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape).astype(np.float32) for weight in model.weights])
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The classifier, and a model around its SavedModel."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    plain = classifier()
    plain.export(folder, verbose=False)
    image = keras.Input((8, 8, 2))
    return plain, keras.Model(image, keras.layers.TFSMLayer(folder, call_endpoint="serve")(image))


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_a_saved_model_is_explained_by_perturbations_of_its_input(saved, score):
    """Its softmax is in a function in a function, and is bypassed there."""
    for method in ("occlusion", seewhy.methods.get("rise", masks=32)):
        theirs, ours = (seewhy.Explainer(model, method, score=score).heatmaps(IMAGES, [0, 2]) for model in saved)
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4)
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-3, atol=1e-5)


def test_gradients_reach_the_input_of_a_saved_model(saved):
    theirs, ours = (seewhy.Explainer(model, "saliency").heatmaps(IMAGES, [0, 2]) for model in saved)
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-4, atol=1e-6)


def test_a_saved_model_has_no_layer_to_explain_and_no_relus_to_guide(saved):
    with pytest.raises(LayerError, match="layer='auto' found no layer to explain"):
        seewhy.Explainer(saved[1]).heatmaps(IMAGES, [0])
    with pytest.raises(MethodError, match="cannot reach the ReLUs inside the tf"):
        seewhy.Explainer(saved[1], "guided_backprop").heatmaps(IMAGES, [0])


class Ending(layers.Layer):
    """Ends a classifier in a function."""

    def __init__(self, wrap):
        super().__init__()
        self.dense, self.wrap = layers.Dense(3), wrap

    def build(self, _):
        self.dense.build((None, 108))

    def call(self, maps):
        return self.wrap(self.finish)(maps)

    def finish(self, maps):
        return tf.nn.softmax(self.dense(tf.reshape(maps, (-1, 108))))

    def compute_output_shape(self, shape):
        return (shape[0], 3)


def ended(wrap):
    plain, image = classifier(), keras.Input((8, 8, 2))
    model = keras.Model(image, Ending(wrap)(layers.Conv2D(3, 3, activation="relu", name="maps")(image)))
    model.set_weights(plain.get_weights())
    return plain, model


@pytest.mark.parametrize("wrap", [tf.function, lambda f: tf.function(tf.function(f)), tf.recompute_grad])
def test_logits_inside_a_function_and_their_gradients(wrap):
    for method in ("gradcam", "hirescam"):
        theirs, ours = (seewhy.Explainer(model, method, layer="maps").heatmaps(IMAGES, [0, 2]) for model in ended(wrap))
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4)
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-3, atol=1e-5 * theirs.values.max())


class Inside(Ending):
    """Has a layer inside its function."""

    def __init__(self, wrap):
        super().__init__(wrap)
        self.inner = layers.Conv2D(3, 1, name="inner")

    def build(self, shape):
        self.inner.build(shape)
        super().build(shape)

    def call(self, maps):
        return self.dense(tf.reshape(self.wrap(lambda x: tf.nn.relu(self.inner(x)))(maps), (-1, 108)))


def with_inner(wrap):
    image = keras.Input((8, 8, 2))
    return keras.Model(image, Inside(wrap)(layers.Conv2D(3, 3, name="maps")(image)))


def test_a_layer_inside_a_function_that_is_run_once_more_is_refused():
    model = with_inner(tf.recompute_grad)
    with pytest.raises(NoGradientError, match=r"layer '\w+/inner'.*tf.recompute_grad"):
        seewhy.Explainer(model, layer="inner").heatmaps(IMAGES, [0])


def test_relus_inside_a_function_that_is_run_once_more_are_not_guided():
    with pytest.raises(MethodError, match="ReLUs inside the function with a derivative of its own"):
        seewhy.Explainer(with_inner(tf.recompute_grad), "guided_backprop").heatmaps(IMAGES, [0])
