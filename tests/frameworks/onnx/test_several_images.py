"""ONNX models with several image inputs: the map of each image, by hand."""

import numpy as np
from tests.pair_model import KERNEL, WEIGHTS, pair_model

import seewhy

RANDOM = np.random.default_rng(0)
LEFT, RIGHT = (RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8) for _ in "ab")


def test_each_image_has_the_map_and_the_gradients_of_its_own_tower():
    classifier = seewhy.Classifier(pair_model(), preprocess=lambda pixels: pixels / 255)
    sample = {"left": LEFT, "right": RIGHT, "age": 3}
    (found,) = seewhy.Explainer(classifier).explain([sample], [0, 1])
    (saliency,) = seewhy.Explainer(classifier, "saliency").explain([sample], [0, 1])
    assert found.layers == {"right": "others", "left": "features"}
    features = {name: sample[name] / np.float32(255) @ KERNEL.T for name in found}
    signs = np.sign(features["left"].mean((0, 1)) - features["right"].mean((0, 1)))
    for name, by_feature in (("left", signs * WEIGHTS / 16), ("right", -signs * WEIGHTS / 16)):
        expected = np.maximum(np.einsum("ijk,tk->tij", features[name], by_feature), 0)
        np.testing.assert_allclose(found[name].heatmaps, expected, rtol=1e-4, atol=1e-6)
        largest = np.abs(by_feature @ KERNEL).max(axis=1)
        np.testing.assert_allclose(
            saliency[name].heatmaps, np.broadcast_to(largest[:, None, None], (2, 4, 4)), rtol=1e-4
        )
    calls = {call.path: call.inputs for call in seewhy.Explainer(classifier).layers()}
    assert (calls["features"], calls["difference"], calls["scores"]) == (
        ("left",),
        ("right", "left"),
        ("right", "left", "age"),
    )
