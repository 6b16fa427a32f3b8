"""Explains what test_four_frameworks.py asks for, on the Keras backend of this process.

Usage: KERAS_BACKEND=jax python one_backend.py FOLDER IMAGE. Writes FOLDER/jax.npz, and FOLDER/by-jax.keras.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import seewhy
from seewhy.models import efficientnet_lite0_backends

LAYERS = ("auto", "base/last_relu", "last_relu", "base/first")
FILES = ("transfer.keras", "transfer.h5")
METHODS = ("gradcam", "hirescam")


def explain_lite0(classifier, image):
    """Return EfficientNet-Lite0's three best classes, their scores, and their heatmaps by both methods."""
    found = {}
    for method in METHODS:
        explanation = seewhy.explain(classifier, image, "top-3", method)
        found[method] = explanation.heatmaps
    found["classes"] = [target.index for target in explanation.targets]
    found["scores"] = [target.score for target in explanation.targets]
    return found


def explain_file(path, image):
    """Return the heatmaps of a model in a file, and the layer's full path, by what was said of the layer."""
    classifier, found = seewhy.load(path), {}
    for layer in LAYERS:
        explanation = seewhy.explain(classifier, image, [0, 1, 2], layer=layer)
        found[f"{path.name} {layer}"] = explanation.heatmaps
        found[f"{path.name} {layer}, path"] = explanation.layer
    return found


def main():
    folder, image, backend = Path(sys.argv[1]), sys.argv[2], keras.backend.backend()
    found = explain_lite0(efficientnet_lite0_backends.build(True, efficientnet_lite0_backends.KERAS), image)
    for name in FILES:
        found |= explain_file(folder / name, image)
    seewhy.load(folder / FILES[0]).save(folder / f"by-{backend}.keras")
    np.savez(folder / f"{backend}.npz", **found)


if __name__ == "__main__":
    main()
