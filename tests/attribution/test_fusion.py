import numpy as np
import pytest

from seewhy.attribution.fusion import check_fuse, fuse_heatmaps
from seewhy.errors import LayerError, OptionError
from seewhy.interpolation import resize

DEEP = np.array([[[[4.0]]], [[[-1.0]]]], np.float32)  # (N, T, 1, 1); nothing speaks for the second image's target
SHALLOW = np.array([[[[1, 2], [-3, 0]]], [[[0, 5], [5, 2.5]]]], np.float32)  # (N, T, 2, 2)


@pytest.mark.parametrize(
    ("fuse", "expected"),
    [
        ("mean", [[[0.75, 1], [0.5, 0.5]], [[0, 0.5], [0.5, 0.25]]]),
        ("max", [[[1, 1], [1, 1]], [[0, 1], [1, 0.5]]]),
        ("product", [[[0.5, 1], [0, 0]], [[0, 0], [0, 0]]]),
        ("layercam", np.tanh([[[2, 2], [2, 2]], [[0, 2], [2, 1]]])),
    ],
)
def test_each_layer_counts_by_its_own_maximum(fuse, expected):
    """By hand: of the first image the deep map is 1 everywhere, the shallow one 1/2, 1, 0, 0."""
    np.testing.assert_allclose(fuse_heatmaps([DEEP, SHALLOW], fuse)[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(fuse_heatmaps([SHALLOW * 1e6, DEEP * 1e-6], fuse)[:, 0], expected, rtol=1e-6)


def test_maps_are_brought_to_the_largest_resolution_in_each_axis():
    wide, tall = np.ones((1, 1, 1, 4), np.float32), np.array([0, 4], np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(fuse_heatmaps([wide, tall], "product")[0, 0], [[0] * 4, [1] * 4])


def test_resizing_by_hand():
    """Cells are as wide as the map is long by how many there are: of two cells made four, the centres are quarters."""
    line = np.array([0, 8], np.float32).reshape(1, 1, 2)
    np.testing.assert_allclose(resize(line, (4,))[0, 0], [0, 2, 6, 8])
    np.testing.assert_array_equal(resize(SHALLOW, (2, 2)), SHALLOW)
    volume = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 2, 2)
    assert resize(volume, (2, 4, 3)).shape == (1, 1, 2, 4, 3)
    np.testing.assert_allclose(resize(volume, (2, 2, 3))[0, 0, :, :, 1], [[0.5, 2.5], [4.5, 6.5]])


def test_unknown_fusions_are_refused():
    with pytest.raises(OptionError, match=r"Unknown fusion 'men'\. Did you mean 'mean'"):
        check_fuse("men")
    with pytest.raises(OptionError, match=r"Unknown fusion None\. Known: mean, max, product, layercam"):
        check_fuse(None)
    with pytest.raises(LayerError, match=r"different numbers of spatial axes cannot be fused; given \[1, 2\]"):
        fuse_heatmaps([DEEP, DEEP[..., 0]], "mean")
