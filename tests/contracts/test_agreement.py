"""Same weights, same input, every framework: within 1e-4 of the maximum of what NumPy gives."""

import numpy as np
import pytest
from tests.contracts import reference
from tests.contracts.capturing import capture

import seewhy
from seewhy.targets import Class

INDICES = (2, 0, 3)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_capture_is_what_numpy_gives():
    inputs = reference.images()
    wanted = reference.expected(inputs, INDICES)
    found = capture(reference.keras_network(), "features", Class(INDICES), inputs)
    for name in ("activations", "gradients", "scores", "probabilities"):
        close(getattr(found, name), getattr(wanted, name))


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_heatmaps_are_what_numpy_gives(method):
    inputs = reference.images()
    wanted = getattr(reference.expected(inputs, INDICES), method)
    assert (wanted.max(axis=(2, 3)) > 0).all()
    heatmaps = seewhy.Explainer(reference.keras_network(), method).heatmaps(inputs, list(INDICES))
    assert heatmaps.layer == "features"
    close(heatmaps.values, wanted)
