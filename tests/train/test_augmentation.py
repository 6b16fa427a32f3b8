import numpy as np

from seewhy.train.augmentation import affine, distort

LINE = np.array([[[0, 0, 0], [1, 2, 3], [0, 0, 0]]], dtype=np.float32)


def one(*numbers):
    return np.array([numbers], dtype=np.float64).reshape(1, -1)


def test_nothing_moves_under_the_identity():
    np.testing.assert_array_equal(affine(LINE, np.eye(2)[None], one(0, 0)), LINE)


def test_a_quarter_turn():
    """(row, column) comes from (column, -row): the line that went right goes down."""
    turned = affine(LINE, np.array([[[0.0, 1.0], [-1.0, 0.0]]]), one(0, 0))
    np.testing.assert_allclose(turned[0], [[0, 3, 0], [0, 2, 0], [0, 1, 0]], atol=1e-6)


def test_a_shift_by_half_a_pixel_is_the_mean_of_two_and_dark_beyond_the_edge():
    np.testing.assert_allclose(affine(LINE, np.eye(2)[None], one(0, 0.5))[0, 1], [1.5, 2.5, 1.5])
    np.testing.assert_allclose(affine(LINE, np.eye(2)[None], one(0, -1))[0, 1], [0, 1, 2])
    assert affine(LINE, np.eye(2)[None], one(9, 0)).max() == 0


def test_each_image_has_a_distortion_of_its_own_that_the_seed_decides():
    square = np.zeros((3, 28, 28), dtype=np.float32)
    square[:, 9:19, 9:19] = 1
    first, again, other = distort(square, (0, 1)), distort(square, (0, 1)), distort(square, (0, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5
    assert np.abs(first[0] - first[1]).max() > 0.5


def test_a_digit_stays_within_what_is_promised():
    """By at most 2 pixels of shift, and of no larger or smaller area than two stretches of 12 % make it."""
    square = np.zeros((200, 28, 28), dtype=np.float32)
    square[:, 9:19, 9:19] = 1
    found = distort(square, (0,))
    areas = found.sum(axis=(1, 2)) / 100
    assert areas.min() > 0.88**2 - 0.01
    assert areas.max() < 1.12**2 + 0.01
    rows = (found.sum(axis=2) * np.arange(28)).sum(axis=1) / found.sum(axis=(1, 2))
    assert np.abs(rows - 13.5).max() < 2 * 1.12 * 1.3
    assert np.abs(rows - 13.5).max() > 1.5
