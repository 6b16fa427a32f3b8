"""Metrics on every Keras backend, and on native PyTorch and ONNX: values by hand, and weights that are restored."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.sample_models import state

from seewhy import Classifier, Explainer, evaluate

ROW = np.array([[1.0, 2.0, 0.0, 4.0]], dtype=np.float32)
ONES = np.ones((1, 1, 4, 3), np.float32)


def four_pixels():
    """A model of an image (1, 4, 3) whose first logit is ROW times the first channel; the second is 0."""
    model = keras.Sequential(
        [keras.Input((1, 4, 3)), layers.Conv2D(3, 1, name="conv"), layers.Flatten(), layers.Dense(2, name="dense")]
    )
    dense = np.zeros((12, 2), np.float32)
    dense[::3, 0] = ROW[0]
    model.get_layer("conv").set_weights([np.eye(3, dtype=np.float32)[None, None], np.zeros(3)])
    model.get_layer("dense").set_weights([dense, np.zeros(2)])
    return model


def test_metrics_run_the_model_of_any_backend():
    """The score is 7; without the most important pixels it is 3, 1, 0, 0. The masked logit is 1/4 + 1 + 4."""
    classifier = Classifier(four_pixels(), input_size=(1, 4))
    curve = evaluate.deletion_curve(classifier, ONES, ROW[None], [0], steps=4, batch_size=4, score="logit")
    np.testing.assert_allclose(curve.y[0, 0], [7, 3, 1, 0, 0], atol=1e-5)
    own, masked = (1 / (1 + np.exp(-logit)) for logit in (7, 5.25))
    np.testing.assert_allclose(
        evaluate.average_drop(classifier, ONES, ROW[None], [0], batch_size=4), [[(own - masked) / own]], rtol=1e-3
    )


def test_random_kernels_are_replaced_by_those_of_the_model():
    model = four_pixels()
    before, images = state(model), np.random.default_rng(0).random((2, 1, 4, 3), np.float32)
    explainer = Explainer(Classifier(model, input_size=(1, 4)), "hirescam", layer="conv", signed=True)
    own = explainer.heatmaps(images, [0]).values
    found = evaluate.randomization_curve(explainer, images, [0], stages=2)
    assert (found.y < 0.99).all()
    assert state(model) == before
    np.testing.assert_array_equal(explainer.heatmaps(images, [0]).values, own)

    def interrupted():
        with explainer.framework.with_kernels({"dense": (np.zeros((12, 2), np.float32),)}) as framework:
            assert not np.any(framework.kernels()["dense"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert state(model) == before
