"""EfficientNet-Lite0 as an ONNX graph, against the other builds of the same weights."""

import numpy as np
import pytest
import torch

import seewhy
from seewhy.models.efficientnet_lite0 import PREPROCESSING
from seewhy.models.efficientnet_lite0_onnx import build_onnx


@pytest.fixture(scope="module")
def builds():
    return build_onnx(pretrained=True), seewhy.load("efficientnet-lite0-torch")


def test_heatmaps_and_probabilities_are_those_of_the_other_builds(builds, keras_lite0, examples):
    model = seewhy.Classifier(builds[0], preprocess=PREPROCESSING)
    found, *others = (
        seewhy.explain(each, examples / "cat.png", targets=[282, 285]) for each in (model, builds[1], keras_lite0)
    )
    assert [each.layer for each in (found, *others)] == ["top_relu6"] * 3
    probabilities = [prediction.probability for prediction in found.predictions]
    for other in others:
        np.testing.assert_allclose(found.heatmaps, other.heatmaps, atol=1e-4 * other.heatmaps.max())
        expected = [prediction.probability for prediction in other.predictions]
        np.testing.assert_allclose(probabilities, expected, atol=1e-4 * max(expected))


def test_values_have_the_names_and_the_numbers_of_the_torch_layers(builds, examples):
    """Batch normalisation is folded into the convolutions, and the value of both has the name of the former."""
    proto, torch_build = builds
    inputs = torch.from_numpy(torch_build.preprocess([examples / "cat.png"]).values)
    onnx_heatmaps, torch_heatmaps = (
        seewhy.Explainer(model, layer="block7a_project_bn", method="gradcam").heatmaps(inputs.numpy(), [282])
        for model in (proto, torch_build.model)
    )
    np.testing.assert_allclose(
        onnx_heatmaps.values, torch_heatmaps.values, atol=1e-4 * np.abs(torch_heatmaps.values).max()
    )
    paths = {name for name, _ in torch_build.model.named_modules()}
    values = {name for node in proto.graph.node for name in node.output}
    assert values - paths == {"probabilities"}


def test_without_weights_it_is_random_and_always_the_same():
    first, second = (build_onnx(pretrained=False).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
