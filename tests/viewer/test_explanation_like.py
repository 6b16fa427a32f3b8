"""The viewer reads of an explanation what its Protocol lists, and nothing else."""

from pathlib import Path
from types import SimpleNamespace

from tests.viewer.sample_explanation import sample_explanation

import seewhy.viewer
from seewhy.viewer.explanation_like import ExplanationLike, TargetLike
from seewhy.viewer.notebook import inline_html
from seewhy.viewer.viewer_data import viewer_data


def attributes_of(protocol):
    return [name for base in protocol.__mro__ for name, value in vars(base).items() if isinstance(value, property)]


def only(protocol, instance):
    """Return an object that has the attributes of a Protocol, and no other."""
    return SimpleNamespace(**{name: getattr(instance, name) for name in attributes_of(protocol)})


def test_the_viewer_reads_only_what_the_protocol_lists():
    explanation = sample_explanation()
    minimal = only(ExplanationLike, explanation)
    minimal.targets = [only(TargetLike, target) for target in explanation.targets]
    assert viewer_data([minimal], labels=["dog"]) == viewer_data([explanation], labels=["dog"])
    pages = [inline_html(each, explanation.image).partition(">")[2] for each in (minimal, explanation)]
    assert pages[0].replace("seewhy-", "")[:60] == pages[1].replace("seewhy-", "")[:60]


def test_the_viewer_does_not_import_the_results_even_for_types():
    sources = list(Path(seewhy.viewer.__file__).parent.glob("*.py"))
    assert len(sources) > 5
    assert [source.name for source in sources if "seewhy.results" in source.read_text("utf-8")] == []
