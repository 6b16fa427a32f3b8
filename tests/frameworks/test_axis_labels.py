"""Axes of results come from the axes of operands that hold the same positions."""

import pytest

from seewhy.frameworks.axis_labels import elementwise_axes, reduced_axes, reshaped_axes


def sources(axes):
    """Return for each axis of a result the axes of the first operand with its label."""
    return [[axis for axis, label in enumerate(axes.operands[0]) if label == found] for found in axes.result]


@pytest.mark.parametrize(
    ("operand", "result", "expected"),
    [
        ((None, 6, 8), (None, 6, 2, 4), [[0], [1], [2], [2]]),  # heads
        ((None, 2, 6, 4), (None, 6, 4), [[0, 1], [2], [3]]),  # heads folded into the images
        ((6, None, 8), (6, None, 2, 4), [[0], [1], [2], [2]]),  # tokens first
        ((None, 2, 2, 2, 3, 8), (None, 6, 8), [[0, 1, 2], [3, 4], [5]]),  # windows
        ((3, 5, 2, 4), (3, 5, 2, 1, 4), [[0], [1], [2], [2], [3]]),
        ((1, 5), (5,), [[1]]),
        ((2, 6), (3, 4), [[0, 1], [0, 1]]),
    ],
)
def test_a_reshape_splits_and_merges_axes(operand, result, expected):
    assert sources(reshaped_axes(operand, result)) == expected


def test_two_unknown_sizes_hide_which_axes_are_merged():
    assert reshaped_axes((None, None, 8), (None, 8)) is None


def test_repeated_and_summed_axes_have_no_source():
    assert sources(elementwise_axes([(1, 4), (3, 4)], (3, 4))) == [[], [1]]
    assert sources(elementwise_axes([(4,), (3, 4)], (3, 4))) == [[], [0]]
    assert sources(reduced_axes(3, [-1], keeps=True)) == [[0], [1], []]
    assert sources(reduced_axes(3, [1], keeps=False)) == [[0], [2]]
