import numpy as np

from seewhy.train.digits_augmentation import affine, distort

LINE = np.array([[[0, 0, 0], [1, 2, 3], [0, 0, 0]]], dtype=np.float32)


def one(*numbers):
    return np.array([numbers], dtype=np.float64).reshape(1, -1)


def test_the_identity_changes_nothing():
    np.testing.assert_array_equal(affine(LINE, np.eye(2)[None], one(0, 0)), LINE)


def test_a_quarter_turn():
    """(row, column) comes from (column, -row): the line that went right goes down."""
    turned = affine(LINE, np.array([[[0.0, 1.0], [-1.0, 0.0]]]), one(0, 0))
    np.testing.assert_allclose(turned[0], [[0, 3, 0], [0, 2, 0], [0, 1, 0]], atol=1e-6)


def test_a_shift_interpolates_and_is_zero_outside_the_image():
    np.testing.assert_allclose(affine(LINE, np.eye(2)[None], one(0, 0.5))[0, 1], [1.5, 2.5, 1.5])
    np.testing.assert_allclose(affine(LINE, np.eye(2)[None], one(0, -1))[0, 1], [0, 1, 2])
    assert affine(LINE, np.eye(2)[None], one(9, 0)).max() == 0


def test_each_image_has_its_own_distortion_which_depends_on_the_seed():
    square = np.zeros((3, 28, 28), dtype=np.float32)
    square[:, 9:19, 9:19] = 1
    first, again, other = distort(square, (0, 1)), distort(square, (0, 1)), distort(square, (0, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5
    assert np.abs(first[0] - first[1]).max() > 0.5


def test_distortions_stay_within_their_limits():
    """It is shifted by at most 2 pixels, and its area changes by at most 12% in both directions."""
    square = np.zeros((200, 28, 28), dtype=np.float32)
    square[:, 9:19, 9:19] = 1
    distorted = distort(square, (0,))
    areas = distorted.sum(axis=(1, 2)) / 100
    assert areas.min() > 0.88**2 - 0.01
    assert areas.max() < 1.12**2 + 0.01
    rows = (distorted.sum(axis=2) * np.arange(28)).sum(axis=1) / distorted.sum(axis=(1, 2))
    assert np.abs(rows - 13.5).max() < 2 * 1.12 * 1.3
    assert np.abs(rows - 13.5).max() > 1.5
