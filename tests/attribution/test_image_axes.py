"""Where a layer changes is compared with where the image was changed."""

import numpy as np
import pytest

from seewhy.attribution.image_axes import measure_axes, occluded_images


def changed(view, spread=0.0):
    """Return what `measure_axes` finds of a layer that shows the changed pixels as `view` does, and `spread` of all."""
    image = np.random.default_rng(0).standard_normal((1, 16, 24, 3)).astype(np.float32)
    images, places = occluded_images(image, (0.0, 0.0, 1.0, 1.0), 1)
    shared = 1 + np.abs(images - image).sum(axis=(1, 2, 3), keepdims=True) * spread / image.size
    return measure_axes(view(image), view(images) * shared, places)


def test_the_axes_of_the_image():
    found = changed(lambda x: x)
    assert found.slopes == pytest.approx((1, 1), abs=0.1)
    assert found.offset < 0.05
    assert found.fault == ""


@pytest.mark.parametrize(
    ("view", "fault"),
    [
        (lambda x: x[:, ::-1], "its rows move against those"),
        (lambda x: x[:, :, ::-1], "its columns move against those"),
        (lambda x: x.swapaxes(1, 2), "its rows do not follow those"),
        (lambda x: x[:, :8], "2 of 4 changed patches"),
        (lambda x: np.roll(x, 4, axis=1) * (np.arange(16)[:, None, None] >= 4), "shifted"),
        (lambda x: np.stack([x.mean(axis=1)] * 2, axis=1), "its rows do not follow those"),
    ],
)
def test_other_axes(view, fault):
    assert fault in changed(view).fault


def test_positions_that_each_see_the_whole_image_show_no_fault():
    """Four positions of the last layer of a small network change alike, whichever patch is changed."""
    random = np.random.default_rng(0)
    mixing = 1 + 0.1 * random.standard_normal((16 * 24 * 3, 2 * 2 * 8)).astype(np.float32)
    assert changed(lambda x: (x.reshape(len(x), -1) @ mixing).reshape(-1, 2, 2, 8)) is None


def test_values_that_do_not_change_show_nothing():
    assert changed(lambda x: np.ones_like(x)) is None


def test_a_single_position_shows_nothing():
    assert changed(lambda x: x.mean(axis=(1, 2), keepdims=True)) is None


def test_the_agreement_of_a_layer_that_shows_a_part_is_0():
    assert changed(lambda x: x[:, :8]).agreement == 0
