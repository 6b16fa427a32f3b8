"""`TokenGrid`, and what layers say about tokens."""

from types import SimpleNamespace

import numpy as np
import pytest

import seewhy
from seewhy.errors import OptionError
from seewhy.frameworks.tokens import token_facts, unfold_tokens


def test_folding_leaves_out_the_other_tokens_and_goes_row_by_row():
    tokens = np.arange(2 * 9).reshape(2, 9, 1)
    folded = seewhy.TokenGrid((2, 3), prefix=1, suffix=2).fold(tokens, 1, np)
    np.testing.assert_array_equal(folded[1, :, :, 0], [[10, 11, 12], [13, 14, 15]])
    by_target = seewhy.TokenGrid((2, 3), prefix=1, suffix=2).fold(tokens[:, None], 2, np)
    np.testing.assert_array_equal(by_target[:, 0], folded)


def test_unfolding_puts_the_other_tokens_back():
    tokens = np.arange(9, dtype=np.float32)[:, None]
    changed = np.stack([tokens[1:7].reshape(2, 3, 1), np.zeros((2, 3, 1), np.float32)])
    unfolded = unfold_tokens(changed, tokens[:1], tokens[7:])
    np.testing.assert_array_equal(unfolded[..., 0], [range(9), [0, 0, 0, 0, 0, 0, 0, 7, 8]])


def test_a_grid_keeps_plain_numbers():
    grid = seewhy.TokenGrid([np.int64(4), 6], prefix=np.int32(5))
    assert (grid.grid, grid.prefix, grid.patches, grid.tokens) == ((4, 6), 5, 24, 29)
    assert grid == seewhy.TokenGrid((4, 6), prefix=5)


@pytest.mark.parametrize("grid", [14, "14", (14,), (14, 0), (14, -1), (14.0, 14), (True, 4), (2**40, 2), None])
def test_a_grid_that_is_none(grid):
    with pytest.raises(OptionError, match=r"TokenGrid takes grid=\(h, w\)"):
        seewhy.TokenGrid(grid)


@pytest.mark.parametrize("count", [-1, 1.5, "1", None, True, 2**31])
@pytest.mark.parametrize("name", ["prefix", "suffix"])
def test_a_number_of_other_tokens_that_is_none(name, count):
    with pytest.raises(OptionError, match=f"TokenGrid: {name} is"):
        seewhy.TokenGrid((2, 2), **{name: count})


def test_what_layers_and_their_options_say():
    options = SimpleNamespace(patch_size=16, num_register_tokens=4)
    layers = [
        SimpleNamespace(num_prefix_tokens=1, patch_size=(16, 8), grid_size=(14, 7)),
        SimpleNamespace(config=options),
        SimpleNamespace(config=options),
        SimpleNamespace(config={"patch_size": 3}, grid_size=None, patch_size="14", num_prefix_tokens=True),
    ]
    facts = token_facts(layers)
    assert facts.prefixes == {1, 4, 5}
    assert facts.patches == {(16, 8), (16, 16)}
    assert facts.grids == {(14, 7)}
    assert facts.suffixes == set()
