import numpy as np
import pytest

from seewhy.methods.resizing import bilinear_weights, combine


def value_at(values, position, cells):
    """Interpolate one axis at a position in cells, by the two nearest centres, the outermost beyond them."""
    position = min(max(position, 0.0), cells - 1.0)
    below = int(np.floor(position))
    above = min(below + 1, cells - 1)
    part = position - below
    return (1 - part) * values[below] + part * values[above]


def test_a_signal_by_hand():
    """Two cells on four pixels: the pixels' centres lie at -1/4, 1/4, 3/4 and 5/4 cells."""
    found = combine(np.array([0, 8], np.float32), [bilinear_weights(2, 4)])
    np.testing.assert_array_equal(found, [0, 2, 6, 8])


@pytest.mark.parametrize(("space", "size"), [((3,), (7,)), ((3, 2), (8, 5)), ((2, 3, 1), (5, 4, 3)), ((6, 4), (3, 2))])
def test_every_axis_as_in_loops(space, size):
    values = np.random.default_rng(0).normal(size=space).astype(np.float32)
    found = combine(values, [bilinear_weights(cells, pixels) for cells, pixels in zip(space, size, strict=True)])
    expected = np.empty(size)
    for pixel in np.ndindex(size):
        at = values
        for p, cells, pixels in zip(pixel, space, size, strict=True):
            at = value_at(at, (p + 0.5) * cells / pixels - 0.5, cells)
        expected[pixel] = at
    assert found.shape == size
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_as_maps_are_brought_onto_images():
    from seewhy.images.geometry import Placement

    maps = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    placed = Placement((9, 10), (0, 0, 9, 10)).place(maps[None])[0]
    np.testing.assert_allclose(combine(maps, [bilinear_weights(4, 9), bilinear_weights(3, 10)]), placed, atol=1e-6)
