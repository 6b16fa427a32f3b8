"""The table, and what its methods refuse."""

import numpy as np
import pytest
from tests.methods.captures import ONE_CAPTURE, drawn, evidence

from seewhy import methods
from seewhy.errors import LayerError, MethodError, OptionError


@pytest.mark.parametrize("name", ONE_CAPTURE)
@pytest.mark.parametrize("space", [(7,), (2, 3, 4)], ids=["signal", "volume"])
def test_any_number_of_dimensions(name, space):
    activations, gradients = drawn(seed=1, targets=4, space=space, channels=3)
    found = evidence(name, activations, gradients)
    flat = evidence(name, activations.reshape(2, -1, 1, 3), gradients.reshape(2, 4, -1, 1, 3))
    assert found.shape == (2, 4, *space)
    np.testing.assert_allclose(found.reshape(2, 4, -1), flat[..., 0], atol=1e-12)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(
        MethodError, match=r"Unknown method 'grad-cam'. Did you mean 'gradcam'.*\? Known: gradcam, hires"
    ):
        methods.get("grad-cam")


def test_kpcacam_refuses_what_it_cannot_use():
    activations, gradients = drawn()
    with pytest.raises(OptionError, match="Unknown kernel 'poly'; expected 'rbf' or 'sigmoid'"):
        evidence("kpcacam", activations, gradients, kernel="poly")
    for gamma in (0, -1, np.nan, np.inf):
        with pytest.raises(OptionError, match=f"gamma is {gamma}; expected a number above 0"):
            evidence("kpcacam", activations, gradients, gamma=gamma)
    activations, gradients = drawn(images=1, targets=1, space=(65, 64), channels=1)
    with pytest.raises(LayerError, match=r"'layer' has 4160 positions, and KPCA-CAM can take 4096.*use eigencam"):
        evidence("kpcacam", activations, gradients)


def test_channels_of_gradcam_are_added_up_or_averaged():
    activations, gradients = drawn(channels=5)
    added = evidence("gradcam", activations, gradients)
    np.testing.assert_allclose(evidence("gradcam", activations, gradients, channels="mean"), added / 5, atol=1e-12)
    np.testing.assert_array_equal(evidence("gradcam", activations, gradients, channels="sum"), added)
    for channels in ("max", None, 5, ["sum"]):
        with pytest.raises(OptionError, match=r"channels is .*; expected 'sum' or 'mean'"):
            evidence("gradcam", activations, gradients, channels=channels)
