"""The explanation of a sample: a mapping of explanations, drawn side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import seewhy
from seewhy.errors import OptionError


@pytest.fixture(scope="module")
def pair():
    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.score = torch.nn.Conv2d(3, 2, 3), torch.nn.Conv2d(3, 2, 3), torch.nn.Linear(4, 3)

        def forward(self, left, right):
            return self.score(torch.cat([self.one(left).mean((2, 3)), self.two(right).mean((2, 3))], 1))

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    sample = {name: random.integers(0, 256, (9, 12, 3), dtype=np.uint8) for name in ("left", "right")}
    classifier = seewhy.Classifier(Pair().eval(), preprocess=lambda pixels: pixels / 255, input_size=(6, 6))
    return seewhy.explain(classifier, sample, "top-2")


def test_it_is_a_mapping_by_the_names_of_the_inputs(pair):
    assert list(pair) == list(pair.keys()) == ["left", "right"]
    assert dict(pair)["right"] is pair["right"] is list(pair.values())[1]
    assert ("left" in pair, "up" in pair, len(pair)) == (True, False, 2)
    with pytest.raises(OptionError, match=r"no image input 'lef'.* Did you mean 'left'"):
        pair["lef"]
    empty = replace(pair["left"], targets=tuple(replace(each, has_evidence=False) for each in pair["left"].targets))
    both = seewhy.MultiImageExplanation({"left": empty, "right": pair["right"]})
    assert [each.has_evidence for each in both.targets] == [each.has_evidence for each in pair["right"].targets]


def test_files_hold_all_images(pair, tmp_path):
    arrays = np.load(pair.save(tmp_path / "pair.npz"))
    np.testing.assert_array_equal(arrays["right/heatmaps"], pair["right"].heatmaps)
    facts = json.loads(pair.save(tmp_path / "pair.json").read_text())
    assert facts["inputs"]["left"]["layer"] == pair["left"].layer
    assert "data:image" in pair.save(tmp_path / "pair.html").read_text()
    one, both = pair.pixels(target=0), pair.pixels()
    assert both.shape[0] > 1.5 * one.shape[0]
    assert both.shape[1] == one.shape[1] > one.shape[0]
    with pytest.raises(OptionError, match=r"Cannot save an explanation of several images as '.gif'"):
        pair.save(tmp_path / "pair.gif")
