"""Statistics, against values that were computed by hand or by enumeration."""

import itertools

import numpy as np
import pytest

from seewhy.errors import OptionError
from seewhy.evaluate.bootstrap import holm, mean_interval, sign_flip_test


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = mean_interval(values, seed=1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    np.testing.assert_allclose([low, high], [values.mean() - 1.96 * error, values.mean() + 1.96 * error], atol=0.02)
    assert mean_interval(values, seed=1) == (low, high)
    assert mean_interval(values, seed=2) != (low, high)


def test_undefined_values_are_left_out_and_one_value_has_no_interval():
    values = np.array([1.0, np.nan, 2.0, 4.0])
    assert mean_interval(values, 0) == mean_interval(values[[0, 2, 3]], 0)
    assert mean_interval(np.array([np.nan, 5.0]), 0) is None
    assert mean_interval(np.full(6, 0.25), 0) == (0.25, 0.25)
    nearly = 0.25 + 1e-17 * np.arange(5)  # equal but for rounding, as values of methods that are the same by theory
    assert mean_interval(nearly, 0) == (nearly.min(), nearly.max())
    np.testing.assert_allclose(mean_interval(values * 1e-300, 0), np.array(mean_interval(values, 0)) * 1e-300)
    with pytest.raises(OptionError, match="confidence is 95; expected a number between 0 and 1"):
        mean_interval(values, 0, confidence=95)


def test_few_images_are_tested_by_all_changes_of_sign():
    """Of the 8 signs of 1, 2, 3 only two sums are as far from 0 as 6; of 1, -1 all are; one NaN is no image."""
    differences = np.array([[1.0, 1.0, np.nan], [2.0, -1.0, np.nan], [3.0, np.nan, np.nan]])
    np.testing.assert_array_equal(sign_flip_test(differences, 0), [2 / 8, 1.0, np.nan])


def test_many_images_are_tested_by_random_changes_of_sign():
    own = np.random.default_rng(3).normal(0.9, 1, 14)
    signs = np.array(list(itertools.product([-1, 1], repeat=14)))
    exact = (np.abs(signs @ own) >= abs(own.sum()) * (1 - 1e-9)).mean()
    assert 0.001 < exact < 0.5
    assert sign_flip_test(own[:, None], 0)[0] == pytest.approx(exact, abs=0.02)


def test_holm_multiplies_the_smallest_by_the_number_of_comparisons():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, np.nan, 0.03, 0.9])), [0.04, 0.09, np.nan, 0.09, 0.9])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6])), [1.0, 1.0])
