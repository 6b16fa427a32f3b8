"""Handmade explanations, small enough to compute by hand what the viewer shows."""

import numpy as np

from seewhy import Explanation, Placement, Prediction, TargetResult


def sample_explanation(number=0, **changes):
    """Return an explanation of three targets, the last without evidence; the model saw the middle of the image."""
    generator = np.random.default_rng(number)
    heatmaps = generator.random((3, 3, 4), dtype=np.float32)
    heatmaps[2] = 0
    probabilities = sorted(generator.dirichlet([1, 1, 1, 1]).tolist(), reverse=True)
    names = ["cat", "dog", "fish", "bird"]
    values = {
        "image": generator.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        "heatmaps": heatmaps,
        "targets": tuple(
            TargetResult(index, names[index], 5.0 - index, probabilities[index], index < 2) for index in range(3)
        ),
        "predictions": tuple(Prediction(index, names[index], probabilities[index]) for index in range(4)),
        "layer": "conv",
        "method": "gradcam",
        "title": "Grad-CAM",
        "placement": Placement((40, 60), (2.5, 10.25, 37.5, 50.25)),
        "source": f"photos/{number:03d}.png",
        "model": "lite",
    }
    return Explanation(**{**values, **changes})
