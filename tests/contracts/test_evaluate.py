"""Metrics on every Keras backend, and on native PyTorch and ONNX: values by hand, and weights that are restored."""

import keras
import numpy as np
import pytest
import torch
from keras import layers
from tests.contracts.in_onnx import exported
from tests.sample_models import state

from seewhy import Classifier, Explainer, OnnxModel, evaluate

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
        with explainer.framework.with_kernels({"dense": (np.zeros((2, 12), np.float32),)}) as framework:
            assert not np.any(framework.kernels()["dense"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert state(model) == before


def separable():
    """A network in Keras and in PyTorch: a depthwise and a pointwise convolution, one with stride, and a matrix."""
    keras.utils.set_random_seed(3)
    convolutions = [layers.SeparableConv2D(5, 3, use_bias=False), layers.Conv2D(4, (2, 3), strides=2, use_bias=False)]
    dense = layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((9, 9, 2)), *convolutions, layers.GlobalAveragePooling2D(), dense])
    depthwise, pointwise, strided, matrix = (torch.tensor(keras.ops.convert_to_numpy(each)) for each in model.weights)
    module = torch.nn.Sequential(
        *(torch.nn.Conv2d(2, 2, 3, groups=2, bias=False), torch.nn.Conv2d(2, 5, 1, bias=False)),
        *(torch.nn.Conv2d(5, 4, (2, 3), stride=2, bias=False), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()),
        torch.nn.Linear(4, 3, bias=False),
    )
    kernels = (depthwise.permute(2, 3, 0, 1), pointwise.permute(3, 2, 0, 1), strided.permute(3, 2, 0, 1), matrix.T)
    for parameter, kernel in zip(module.parameters(), kernels, strict=True):
        parameter.data = kernel.contiguous()
    return model, module.eval()


def test_a_network_gets_the_same_random_kernels_in_every_framework():
    model, module = separable()
    images = np.random.default_rng(0).random((1, 9, 9, 2), np.float32)
    first = np.moveaxis(images, -1, 1)
    classifiers = [Classifier(model), Classifier(module, input_size=(9, 9))]
    classifiers.append(Classifier(OnnxModel(exported(module, (2, 9, 9)))))
    found = [
        evaluate.randomization_curve(Explainer(each, "gradient_x_input"), pixels, [1], stages=1).y
        for each, pixels in zip(classifiers, (images, first, first), strict=True)
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
    np.testing.assert_allclose(found[2], found[0], atol=1e-5)
    assert (np.abs(found[0]) < 0.9).all()
