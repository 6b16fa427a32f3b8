"""The cheap signs of one heatmap, on a model of which the true explanation is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.evaluate.quadrant_model import quadrant_classifier, quadrant_images, quadrant_mask

import seewhy
from seewhy import evaluate
from seewhy.errors import OptionError, TargetError
from seewhy.evaluate import check
from seewhy.evaluate.check import Check, with_checks


@pytest.fixture(scope="module")
def explainer():
    return seewhy.Explainer(quadrant_classifier(), "gradcam", "features")


@pytest.fixture(scope="module")
def explanation(explainer):
    (found,) = explainer.explain(quadrant_images(1), "top-1")
    return found


def with_heatmap(explanation, heatmap):
    return replace(explanation, heatmaps=np.asarray(heatmap, np.float32)[None])


def test_covering_what_decides_lowers_the_score(explainer, explanation):
    """A blur carries the darkness around the red quadrant into it; covering the other corner changes nothing."""
    true = with_heatmap(explanation, quadrant_mask())
    found = check(explainer, true, share=0.25)
    assert found.is_faithful
    assert found.score == pytest.approx(explanation.targets[0].score, rel=1e-5)
    assert found.covered < found.score - 0.3
    assert "The bright pixels matter more than others: this supports the map." in found.line
    false = check(explainer, with_heatmap(explanation, quadrant_mask()[::-1, ::-1]), share=0.25)
    assert not false.is_faithful
    assert false.covered == pytest.approx(false.score, abs=0.3)
    assert "It falls no more than elsewhere: this does not support the map." in false.line


def test_a_map_of_another_tool_is_checked_as_any(explainer):
    """It is compared with no other class, since this tool's maps of that class are others."""
    classifier, image = explainer.classifier, quadrant_images(1)[0]
    heatmap = torch.tensor(quadrant_mask()[::2, ::2], dtype=torch.float32, requires_grad=True)
    foreign = evaluate.explanation_of_map(classifier, image, heatmap, "red", name="captum")
    for maker in (classifier, explainer):
        found = check(maker, foreign, share=0.2)
        assert found.is_faithful
        assert found.overlap is None
    assert foreign.targets[0].name == "red"
    with pytest.raises(OptionError, match="explanation_of_map"):
        check(explainer, heatmap)
    with pytest.raises(TargetError, match="no class 7"):
        evaluate.explanation_of_map(classifier, image, heatmap, 7)


def test_the_maps_of_two_classes_are_compared(explainer, explanation):
    """The gradient of a class is in its own channel, and that of green is dim everywhere but covers the same pixels."""
    found = check(explainer, explanation)
    assert found.other_name == "green"
    same = replace(
        explanation,
        heatmaps=np.stack([quadrant_mask()] * 2).astype(np.float32),
        targets=(explanation.targets[0], replace(explanation.targets[0], index=1, name="green")),
    )
    assert check(explainer, same).overlap == 1.0
    assert "100% of its brightest pixels are also those of the map for green" in check(explainer, same).line
    other = replace(same, heatmaps=np.stack([quadrant_mask(), quadrant_mask()[::-1]]).astype(np.float32))
    assert check(explainer, other).overlap == 0.0
    assert "the map is its own" in check(explainer, other).line


def test_small_scores_are_told_apart():
    """Scores of a regression, or of a class that is not trained, may differ in the fifth decimal only."""
    checked = Check("a", -0.04016, -0.04031, (-0.04015, -0.04019), "", None, 0.15)
    assert "from -0.04016 to -0.04031; with the same shape at 2 other places, to between -0.04019 and -0.04015" in (
        checked.line
    )
    assert "from 1.00 to 1.00;" in Check("a", 1.0, 1.0, (1.0,), "", None, 0.15).line


def test_a_target_that_is_no_class_is_said_to_be_unchecked(explainer, explanation):
    value = replace(explanation.targets[0], index=-1, name="output 0")
    checked = with_checks(explainer, replace(explanation, targets=(value,)))
    assert checked.targets[0].check == "Not checked: only the map of a class of a classifier can be."


def test_a_map_without_evidence_is_said_to_be_one(explainer, explanation):
    empty = check(explainer, with_heatmap(explanation, np.zeros((4, 4))))
    assert empty.sentences == ("The map shows no evidence, so there is nothing to cover.",)
    assert (empty.covered, empty.overlap) == (None, None)


def test_checks_are_the_same_each_time_and_reports_have_them(explainer, explanation, tmp_path):
    checked = with_checks(explainer, explanation)
    assert checked.targets[0].check == check(explainer, explanation).line
    assert explanation.targets[0].check == ""
    assert checked.targets[0].check in checked.report(tmp_path / "report.html").read_text("utf-8")
    assert checked.as_dict()["targets"][0]["check"] == checked.targets[0].check


def test_mistakes(explainer, explanation):
    with pytest.raises(OptionError, match=r"share is 0\.9; expected a number above 0, up to 0\.5"):
        check(explainer, explanation, share=0.9)
    with pytest.raises(OptionError, match="draws is 0; expected a whole number from 1"):
        check(explainer, explanation, draws=0)
    target = replace(explanation.targets[0], index=-1, name="a region")
    with pytest.raises(TargetError, match="The target 'a region' is not a class"):
        check(explainer, replace(explanation, targets=(target,)))
