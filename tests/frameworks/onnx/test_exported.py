"""PyTorch modules that are exported and run by ONNX Runtime: `Explainer(model, backend="onnx")`."""

import sys

import numpy as np
import pytest
import torch
from tests.contracts import in_torch, reference
from torch import nn

import seewhy
from seewhy.errors import LayerError, MissingExtraError, ModelError, ModelRunError, OptionError
from seewhy.frameworks.onnx.tap import Tap
from seewhy.frameworks.torch import framework as torch_framework
from seewhy.targets import Difference

IMAGES = in_torch.given(reference.images(3))


def explained(model, backend, method="gradcam", layer="features", targets=(2, 0)):
    explainer = seewhy.Explainer(model, method, layer, signed=True, backend=backend)
    return explainer.heatmaps(IMAGES, targets if isinstance(targets, str) else list(targets))


def agree(model, *arguments):
    found, wanted = explained(model, "onnx", *arguments), explained(model, None, *arguments)
    assert found.layer == wanted.layer
    np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=1e-5 * np.abs(wanted.values).max())
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=1e-5 * np.abs(wanted.scores).max())


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "saliency", "scorecam", "guided_backprop"])
def test_heatmaps_are_those_of_the_module(method):
    agree(in_torch.plain(), method)


@pytest.mark.parametrize("layer", ["auto", "first", "features.convolution"])
def test_layers_have_their_paths(layer):
    agree(in_torch.plain(), "hirescam", layer, [Difference(1, 2)])


@pytest.mark.parametrize("classes", [range(40), [3, 39, 3, 0, 7], "top-30"])
def test_many_classes_in_one_product(classes):
    torch.manual_seed(0)
    agree(in_torch.reading("mean", 40), "gradcam", "features", classes)


def test_layers_in_containers_in_modules():
    agree(in_torch.nested(2), "gradcam", "outer.base.features")


def test_several_inputs_and_outputs():
    explainers = [
        seewhy.Explainer(in_torch.several(dict), "gradcam", "features", output="answer", backend=backend)
        for backend in ("onnx", None)
    ]
    found, wanted = (explainer.heatmaps([IMAGES, IMAGES[::-1].copy()], [1]) for explainer in explainers)
    np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=1e-5 * wanted.values.max())


def test_a_transformer():
    agree(in_torch.class_token(), "auto", "auto")
    agree(in_torch.class_token(), "gradcam", "blocks.0")


def multiplied(weight):
    weight.data.mul_(2)


def multiplied_by_numpy(weight):
    array = weight.detach().numpy()
    array *= 2


@pytest.mark.parametrize("change", ["trained further", multiplied, multiplied_by_numpy])
def test_weights_that_change_are_exported_again(change):
    """Also where PyTorch does not count that they were written to."""
    model = in_torch.plain()
    explainer = seewhy.Explainer(model, "gradcam", "features", signed=True, backend="onnx")
    before = explainer.heatmaps(IMAGES, [1])
    if change == "trained further":
        in_torch.trained_further(model, 2.0)
    else:
        change([module for module in model.modules() if isinstance(module, nn.Linear)][-1].weight)
    np.testing.assert_allclose(explainer.heatmaps(IMAGES, [1]).values, 2 * before.values, rtol=1e-4)


def test_a_head_that_is_linear_in_the_mean_is_differentiated_once_for_each_class(monkeypatch):
    """They are kept; layers and weights are looked up once in an explanation, and found changed."""
    torch.manual_seed(0)
    model, runs, versions = in_torch.reading("mean", 7), [], []
    run, version = Tap._run_backward, torch_framework.Torch.weights_version
    monkeypatch.setattr(Tap, "_run_backward", lambda tap, *given: runs.append(given) or run(tap, *given))
    monkeypatch.setattr(torch_framework.Torch, "weights_version", lambda own: versions.append(own) or version(own))
    explainers = [seewhy.Explainer(model, "gradcam", "features", signed=True, backend=each) for each in ("onnx", None)]

    def compare(classes):
        found, wanted = (explainer.heatmaps(IMAGES, classes) for explainer in explainers)
        np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=1e-5 * np.abs(wanted.values).max())

    compare([5, 2])
    for classes, backward in (([2, 5, 2], 0), ([[1, 5], [2, 6], [1, 2]], 1), ([6, 1], 0)):
        del runs[:], versions[:]
        compare(classes)
        assert (len(runs), len(versions)) == (backward, 1)
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
        [*model.parameters()][-2].mul_(-2)
    compare([6, 1])


def test_the_module_is_left_as_it_was():
    model = in_torch.plain().train()
    before = in_torch.state(model)
    explained(model, "onnx")
    assert in_torch.state(model) == before


def test_an_export_that_deviates_is_refused(monkeypatch):
    """As an operation would that the exporter translates wrongly."""
    model, other = in_torch.plain(), in_torch.plain(scale=1.01)
    export = torch_framework.export
    monkeypatch.setattr(torch_framework, "export", lambda _, *arguments: export(other, *arguments))
    with pytest.raises(ModelError, match=r"gradients of the layer 'features' differ by .*e-0[23] of the largest value"):
        explained(model, "onnx")


class Unknown(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)

    def forward(self, image):
        return torch.special.i1(self.features(image)).mean((2, 3))


def test_what_cannot_be_exported_or_explained():
    with pytest.raises(ModelRunError, match=r"cannot be exported to ONNX: .*Leave out backend"):
        explained(Unknown(), "onnx")
    with pytest.raises(ModelRunError, match="cannot be exported to ONNX: it computes in bfloat16"):
        explained(in_torch.plain().bfloat16(), "onnx")
    for layer in ("features", "features#1"):
        with pytest.raises(LayerError, match=r"'features' cannot be .* its calls cannot be told apart"):
            seewhy.Explainer(in_torch.siamese(), "gradcam", layer, backend="onnx").heatmaps([IMAGES, IMAGES], [1])
    with pytest.raises(OptionError, match="Unknown backend 'tensorrt'; expected 'onnx' or 'openvino'"):
        seewhy.Explainer(in_torch.plain(), backend="tensorrt")
    with pytest.raises(OptionError, match="backend='onnx' runs in float32, and precision='bfloat16'"):
        seewhy.Explainer(in_torch.plain(), backend="onnx", precision="bfloat16")


def test_without_onnx_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"onnxruntime is not installed. Install it with: pip install"):
        seewhy.Explainer(in_torch.plain(), backend="onnx")
