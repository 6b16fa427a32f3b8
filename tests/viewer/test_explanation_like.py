"""The viewer reads of an explanation what its Protocol lists, and nothing else."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tests.viewer.sample_explanation import sample_explanation

import seewhy.viewer
from seewhy.viewer.explanation_like import ExplanationLike, TargetLike
from seewhy.viewer.notebook import _small_overlay
from seewhy.viewer.viewer_data import viewer_data


def attributes_of(protocol):
    return [name for name, value in vars(protocol).items() if isinstance(value, property)]


def only(protocol, instance):
    """Return an object that has the attributes of a Protocol, and no other."""
    return SimpleNamespace(**{name: getattr(instance, name) for name in attributes_of(protocol)})


def test_the_viewer_reads_only_what_the_protocol_lists():
    explanation = sample_explanation()
    minimal = only(ExplanationLike, explanation)
    minimal.targets = [only(TargetLike, target) for target in explanation.targets]
    assert viewer_data([minimal], labels=["dog"]) == viewer_data([explanation], labels=["dog"])
    np.testing.assert_array_equal(_small_overlay(minimal), _small_overlay(explanation))


def test_the_viewer_does_not_import_the_results_even_for_types():
    sources = list(Path(seewhy.viewer.__file__).parent.glob("*.py"))
    assert len(sources) > 5
    assert [source.name for source in sources if "seewhy.results" in source.read_text("utf-8")] == []
