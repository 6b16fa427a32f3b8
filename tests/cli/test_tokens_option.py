import pytest

import seewhy
from seewhy.cli.tokens_option import parse_tokens
from seewhy.errors import OptionError


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("14x14", seewhy.TokenGrid((14, 14))),
        ("4x6,prefix=5", seewhy.TokenGrid((4, 6), prefix=5)),
        (" 4 x 6 , suffix = 1, prefix=2", seewhy.TokenGrid((4, 6), prefix=2, suffix=1)),
        (None, None),
    ],
)
def test_a_grid_with_other_tokens(text, grid):
    assert parse_tokens(text) == grid


@pytest.mark.parametrize(
    "text", ["", "14", "14x14+1", "14x14,1", "14x14,class=1", "4x6,prefix=1,prefix=2", "4x-6", "4x6x2", "4x6,prefix=-1"]
)
def test_what_is_no_grid(text):
    with pytest.raises(OptionError, match="expected the rows and columns of patches"):
        parse_tokens(text)


def test_a_wrong_grid_is_found_before_the_model_is_loaded(run, examples, tmp_path):
    for command in ("explain", "inspect"):
        code, _, err = run(command, examples / "cat.png", "--tokens", "14by14", "--out", tmp_path)
        assert code == 2
        assert "--tokens is '14by14'" in err
