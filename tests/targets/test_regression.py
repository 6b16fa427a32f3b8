"""Values that are not classes."""

import keras
import numpy as np
import pytest
import torch
from onnx import parser
from torch import nn

import seewhy
from seewhy.errors import TargetError
from seewhy.targets import Counterfactual, Function, Regression


class Predictor(nn.Module):
    """Values k = 0, 1, ...: (k + 1) times the mean of the features."""

    def __init__(self, values, *, is_squeezed=False):
        super().__init__()
        self.features, self.values, self.is_squeezed = nn.Conv2d(3, 2, 1), values, is_squeezed

    def forward(self, image):
        mean = torch.relu(self.features(image)).mean(dim=(1, 2, 3))
        values = mean[:, None] * torch.arange(1, self.values + 1)
        return values[:, 0] if self.is_squeezed else values


IMAGES = np.random.default_rng(0).random((2, 3, 6, 6), dtype=np.float32)


def heatmaps(model, targets, names=None):
    torch.manual_seed(0)
    return seewhy.Explainer(seewhy.Classifier(model, class_names=names)).heatmaps(IMAGES, targets)


@pytest.mark.parametrize("targets", ["top-1", 0, "output 0", "Output-0", "output0", Regression()])
def test_one_value_is_no_class(targets):
    found = heatmaps(Predictor(1), targets)
    np.testing.assert_allclose(found.scores[:, 0], found.outputs[:, 0], rtol=1e-6)
    assert found.names == (("output 0",),) * 2
    assert found.indices.tolist() == [[-1], [-1]]
    assert found.probabilities is None


def test_one_value_has_the_name_that_is_given():
    assert heatmaps(Predictor(1), "top-1", ["age"]).names == (("age",),) * 2
    assert heatmaps(Predictor(1), Regression(name="years")).names == (("years",),) * 2


def test_one_of_several_values():
    found = heatmaps(Predictor(3), ["output 2", Regression(1)])
    np.testing.assert_allclose(found.scores, found.outputs[:, [2, 1]], rtol=1e-6)
    np.testing.assert_allclose(found.values[:, 0] / 3, found.values[:, 1] / 2, rtol=1e-5, atol=1e-8)
    assert found.names == (("output 2", "output 1"),) * 2
    assert found.probabilities is None  # of classes, which values are not


def test_values_without_an_axis_of_their_own():
    assert heatmaps(Predictor(1, is_squeezed=True), Regression()).scores.shape == (2, 1)


@pytest.mark.parametrize("targets", ["top-1", 0, [[0], [0]]])
def test_a_class_of_a_model_that_squeezes_its_one_value_is_the_value(targets):
    squeezed, plain = (heatmaps(Predictor(1, is_squeezed=is_squeezed), targets) for is_squeezed in (True, False))
    assert squeezed.names == plain.names == (("output 0",),) * 2
    np.testing.assert_allclose(squeezed.scores[:, 0], squeezed.outputs, rtol=1e-6)
    np.testing.assert_allclose(squeezed.values, plain.values, rtol=1e-6)
    assert heatmaps(Predictor(1, is_squeezed=True), targets, ["age"]).names == (("age",),) * 2


@pytest.mark.parametrize("is_squeezed", [False, True])
def test_one_value_that_is_given_twice(is_squeezed):
    found = heatmaps(Predictor(1, is_squeezed=is_squeezed), [0, 0])
    assert found.names == (("output 0", "output 0"),) * 2
    np.testing.assert_array_equal(found.values[:, 0], found.values[:, 1])


@pytest.mark.parametrize("is_squeezed", [False, True])
def test_mistakes_about_one_value_speak_of_no_classes(is_squeezed):
    with pytest.raises(TargetError, match="'top-2' selects more than the model's one value, output 0"):
        heatmaps(Predictor(1, is_squeezed=is_squeezed), "top-2")
    with pytest.raises(TargetError, match="There is no class 1: the model predicts one value, output 0"):
        heatmaps(Predictor(1, is_squeezed=is_squeezed), 1)


@pytest.mark.parametrize("names", [None, ["age"]])
def test_one_value_is_no_class_beside_other_targets(names):
    targets = [0, Regression(name="years"), Counterfactual(0), Function(lambda values: 2 * values)]
    found = heatmaps(Predictor(1), targets, names)
    name = "output 0" if names is None else "age"
    assert found.names == ((name, "years", f"against {name}", "target 3"),) * 2
    assert found.indices.tolist() == [[-1] * 4] * 2
    np.testing.assert_allclose(found.scores, found.outputs * [1, 1, -1, 2], rtol=1e-6)


class Share(Predictor):
    """One value between 0 and 1."""

    def forward(self, image):
        return torch.sigmoid(super().forward(image))


def keras_share():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    features = keras.layers.Conv2D(2, 1, activation="relu")(image)
    share = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(features))
    return keras.Model(image, share), IMAGES.transpose(0, 2, 3, 1)


def torch_share():
    torch.manual_seed(0)
    return Share(1), IMAGES


def onnx_share():
    text = """<ir_version: 9, opset_import: ["": 17]>
    share (float[n, 3, 6, 6] image) => (float[n, 1] shares)
    <float[2, 3, 1, 1] kernel = {1, 2, -1, 3, 1, 1}, float[1, 2] weights = {0.5, 1}> {
      features = Conv(image, kernel)
      positive = Relu(features)
      mean = GlobalAveragePool(positive)
      flat = Flatten(mean)
      logits = Gemm<transB = 1>(flat, weights)
      shares = Sigmoid(logits)
    }"""
    return parser.parse_model(text), IMAGES


@pytest.mark.parametrize("share", [keras_share, torch_share, onnx_share])
@pytest.mark.parametrize("method", ["hirescam", "occlusion"])
def test_the_value_of_a_sigmoid_unit_is_what_raises_it(share, method):
    model, images = share()
    explainer = seewhy.Explainer(model, method, signed=True)
    found = explainer.heatmaps(images, [1, "output 0", Regression(name="age"), 0])
    assert found.names == (("class 1", "output 0", "age", "class 0"),) * 2
    logits = np.log(found.outputs / (1 - found.outputs))
    np.testing.assert_allclose(found.scores, logits * [1, 1, 1, -1], rtol=1e-4, atol=1e-6)
    assert np.abs(found.values).max() > 0.001
    for position, sign in enumerate([1, 1, 1, -1]):
        np.testing.assert_allclose(found.values[:, position], sign * found.values[:, 0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("targets", [[["output 0"], [1]], [[1], ["output 0"]]])
def test_the_value_of_a_sigmoid_unit_for_some_images(targets):
    model, images = torch_share()
    found = seewhy.Explainer(model, score="probability").heatmaps(images, targets)
    np.testing.assert_allclose(found.scores, found.outputs, rtol=1e-6)


def test_a_sigmoid_unit_has_one_value():
    with pytest.raises(TargetError, match="There is no output 1: the model predicts one value, output 0"):
        heatmaps(Share(1), "output 1")


def test_mistakes():
    with pytest.raises(TargetError, match="There is no output 3: the model predicts values 0 to 2"):
        heatmaps(Predictor(3), "output 3")
    with pytest.raises(TargetError, match=r"Regression takes the position of a value, such as Regression\(0\)"):
        Regression("age")
    with pytest.raises(TargetError, match=r"one of the values \(N, K\)"):
        heatmaps(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)), Regression())
