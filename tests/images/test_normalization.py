import numpy as np

from seewhy.images.normalization import normalize, peak_values

MAPS = np.array([[[-3, 0, 1, 4]], [[0, 0, 0, 0]], [[2, 2, 2, 2]]], np.float32)


def test_each_map_is_divided_by_its_own_maximum():
    expected = [[[0, 0, 0.25, 1]], [[0, 0, 0, 0]], [[1, 1, 1, 1]]]
    np.testing.assert_array_equal(normalize(MAPS, 1.0), np.array(expected, np.float32))


def test_values_above_the_peak_are_clipped_to_1():
    np.testing.assert_allclose(normalize(MAPS[:1], 0.5), [[[0, 0, 1, 1]]])  # the median of 0, 0, 1, 4 is a half
    np.testing.assert_allclose(peak_values(np.maximum(MAPS, 0), 0.5), [[[0.5]], [[0]], [[2]]])


def test_the_maximum_is_the_peak_where_the_quantile_is_0():
    sparse = np.array([[[0, 0, 0, 8]]], np.float32)
    np.testing.assert_array_equal(normalize(sparse, 0.5), [[[0, 0, 0, 1]]])


def test_range_maps_the_minimum_to_0():
    maps = np.array([[[1, 2, 5]], [[3, 3, 3]]], np.float32)
    np.testing.assert_array_equal(normalize(maps, 1.0, "range"), [[[0, 0.25, 1]], [[0, 0, 0]]])
