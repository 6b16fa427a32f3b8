"""Transfer learning on the Keras backend of this process, with real weights, and a heatmap from inside the base.

`make test-all` runs this on TensorFlow, JAX and PyTorch.
"""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import seewhy
from seewhy.train.transfer import TransferRecipe, train_transfer

MAKE_IMAGES = Path(__file__).parents[2] / "examples" / "ones_and_sevens.py"
IMAGES_PER_CLASS = 60
"""The tutorial's 150 take minutes where nothing is compiled."""


@pytest.mark.slow(reason="trains on EfficientNet-Lite0 with its real weights; test_transfer.py uses random weights")
def test_two_classes_on_efficientnet_lite0(tmp_path):
    subprocess.run([sys.executable, MAKE_IMAGES, tmp_path / "data"], check=True)
    for path in (tmp_path / "data").glob("*/*.png"):
        if int(path.stem) >= IMAGES_PER_CLASS:
            path.unlink()
    result = train_transfer(tmp_path / "data", tmp_path / "run", TransferRecipe(epochs=3))
    assert result.confusion_matrix.sum() == 2 * IMAGES_PER_CLASS / 5
    assert np.trace(result.confusion_matrix) / result.confusion_matrix.sum() >= 0.95
    assert result.best["validation_accuracy"] >= 0.95

    classifier = seewhy.load(tmp_path / "run")
    path = result.images.paths("validation")[-1]
    explanation = seewhy.explain(classifier, path, targets=["one", "seven"])
    assert explanation.layer == "efficientnet_lite0/top_relu6"
    assert [target.has_evidence for target in explanation.targets] == [True, True]

    # The head is a mean over 49 positions and one dense layer, so the heatmap is known: its kernel times the maps.
    inputs = keras.ops.convert_to_tensor(classifier.preprocess([path]).values)
    maps = keras.ops.convert_to_numpy(classifier.model.get_layer("efficientnet_lite0")(inputs, training=False))[0]
    kernel = keras.ops.convert_to_numpy(classifier.model.get_layer("classes").kernel)
    for position in (0, 1):
        expected = np.maximum(maps @ kernel[:, position] / 49, 0)
        np.testing.assert_allclose(explanation.heatmaps[position], expected, atol=1e-4 * expected.max())
