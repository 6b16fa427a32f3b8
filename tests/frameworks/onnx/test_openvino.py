"""Models that OpenVINO runs: `Explainer(model, backend="openvino")`."""

import sys

import numpy as np
import pytest
from tests.contracts import in_torch, reference
from tests.pair_model import pair_model

import seewhy
from seewhy.errors import MissingExtraError, SeewhyWarning
from seewhy.frameworks.onnx.model import OnnxModel

openvino = pytest.importorskip("openvino")
in_onnx = pytest.importorskip("tests.contracts.in_onnx")

IMAGES = in_torch.given(reference.images(4))
HAS_BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def agree(model, method="gradcam", layer="features", tolerance=1e-5, **options):
    explainer = seewhy.Explainer(model, method, layer, signed=True, backend="openvino", **options)
    wanted = seewhy.Explainer(model, method, layer, signed=True).heatmaps(IMAGES, [2, 0]).values
    for count in (3, 2, 1, 4):  # shapes that are compiled on their own, and others
        found = explainer.heatmaps(IMAGES[:count], [2, 0]).values
        np.testing.assert_allclose(found, wanted[:count], rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("method", ["gradcam", "scorecam"])
def test_modules(method):
    agree(in_torch.plain(), method, "auto" if method == "gradcam" else "features")


def test_onnx_models():
    agree(OnnxModel(in_onnx.plain()))


def test_float32_is_the_default_and_bfloat16_is_told_with_its_error():
    if not HAS_BFLOAT16:
        pytest.skip("the processor has no instructions for bfloat16")
    with pytest.warns(SeewhyWarning, match=r"layer 'features' deviates from float32, .* scores by \d\.\de-0[34]"):
        agree(in_torch.plain(), tolerance=0.05, precision="bfloat16")


def test_without_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="For backend='openvino', openvino is not installed"):
        seewhy.Explainer(in_torch.plain(), backend="openvino")


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "saliency"])
def test_a_part_of_a_model_that_reads_some_of_its_inputs(method):
    """What bypasses the layer of one image is computed from the others; OpenVINO drops an input that nothing reads."""
    classifier = seewhy.Classifier(pair_model(), preprocess=lambda pixels: pixels / 255)
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    sample = {"left": images[0], "right": images[1], "age": [0.5]}
    found, wanted = (
        seewhy.Explainer(classifier, method, backend=backend).explain([sample], [0, 1])[0]
        for backend in ("openvino", None)
    )
    for name in ("left", "right"):
        np.testing.assert_allclose(found[name].heatmaps, wanted[name].heatmaps, rtol=1e-4, atol=1e-6)
