import sys

import numpy as np
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


NETS = """
import torch
from torch import nn
import seewhy

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.registers = nn.Linear(192, 8), nn.Parameter(torch.randn(1, 5, 8))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, images):  # patches of 8 x 8 pixels, of which nothing tells the rows and columns
        patches = images.unfold(2, 8, 8).unfold(3, 8, 8).flatten(4).permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
        tokens = torch.cat([self.registers.expand(len(images), -1, -1), self.embed(patches)], dim=1)
        return self.head(torch.relu(self.norm(tokens)).mean(1))

def net():
    return seewhy.Classifier(Tokens(), input_size=(32, 48))
"""


def test_the_grid_of_the_command_line_is_that_of_the_heatmap(run_cold, examples, tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    shared = [examples / "cat.png", "--model", "nets:net", "--layer", "norm", "--targets", "0", "--format", "npz"]
    found = {}
    for tokens in ("4x6,prefix=5", "6x4,prefix=5", "3x8,prefix=4,suffix=1"):
        code, _, err = run_cold("explain", *shared, "--method", "hirescam", "--tokens", tokens, "--out", tokens)
        assert code == 0, err
        (file,) = (tmp_path / tokens).glob("*.npz")
        found[tokens] = np.load(file)["heatmaps"][0]
    assert [each.shape for each in found.values()] == [(4, 6), (6, 4), (3, 8)]
    first, second, shifted = (each.ravel() for each in found.values())
    np.testing.assert_array_equal(first, second)  # the same tokens in other rows
    np.testing.assert_array_equal(first[:-1], shifted[1:])  # from the token before; HiResCAM weights each alone
    code, out, err = run_cold("explain", *shared, "--tokens", "5x5,prefix=5", "--out", "other")
    assert code == 2
    assert "5 x 5" in err
    assert out == ""
    code, _, err = run_cold("inspect", *shared, "--tokens", "4x6,prefix=5", "--out", "inspected")
    assert code == 0, err
    assert np.load("inspected/cat_inspect.npz")["heatmaps"].shape == (1, 4, 6)
