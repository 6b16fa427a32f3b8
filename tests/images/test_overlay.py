import matplotlib
import numpy as np
import pytest

from seewhy.errors import OptionError
from seewhy.images.overlay import color_table, colorize, overlay, saliency_picture

IMAGE = np.full((1, 3, 3), 100, dtype=np.uint8)
SALIENCY = np.array([[0, 0.5, 1]], dtype=np.float32)
ALL = np.ones((1, 3), dtype=bool)


def test_colours_are_matplotlib_s():
    expected = np.round(matplotlib.colormaps["viridis"](np.array([0.0, 128 / 255, 1.0]))[:, :3] * 255)
    np.testing.assert_array_equal(colorize(SALIENCY, "viridis")[0], expected)


def test_blending_by_hand():
    jet = color_table("jet").astype(int)
    found = overlay(IMAGE, SALIENCY, ALL, alpha=0.25, colormap="jet")
    np.testing.assert_array_equal(found[0, 0], np.round(75 + 0.25 * jet[0]))
    np.testing.assert_array_equal(found[0, 2], np.round(75 + 0.25 * jet[255]))


def test_the_ends_of_alpha():
    np.testing.assert_array_equal(overlay(IMAGE, SALIENCY, ALL, alpha=0), IMAGE)
    np.testing.assert_array_equal(overlay(IMAGE, SALIENCY, ALL, alpha=1), colorize(SALIENCY))


def test_where_the_network_saw_nothing_the_picture_stays():
    covered = np.array([[True, False, True]])
    found = overlay(IMAGE, SALIENCY, covered, alpha=1)
    np.testing.assert_array_equal(found[0, 1], IMAGE[0, 1])
    assert (found[0, 0] != IMAGE[0, 0]).any()
    np.testing.assert_array_equal(saliency_picture(SALIENCY, covered)[0, 1], [255, 255, 255])


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_out_of_range(alpha):
    with pytest.raises(OptionError, match="expected a number from 0"):
        overlay(IMAGE, SALIENCY, ALL, alpha=alpha)


def test_an_unknown_colour_map_with_the_nearest():
    with pytest.raises(OptionError, match=r"Unknown colour map 'viridsi'. Did you mean 'viridis'"):
        colorize(SALIENCY, "viridsi")
