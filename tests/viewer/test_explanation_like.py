"""The viewer reads of an explanation what its Protocol lists, and nothing else."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tests.viewer.sample_explanation import sample_explanation
from tests.viewer.test_recordings import targets_of, volume

import seewhy.viewer
from seewhy import GridPlacement, Signal, SignalExplanation, Video, Volume
from seewhy.viewer.explanation_like import ExplanationLike, FramesLike, SignalLike, TargetLike
from seewhy.viewer.kinds import KINDS
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


def methods_of(protocol):
    return [
        name
        for base in protocol.__mro__
        if base.__module__ == protocol.__module__
        for name, value in vars(base).items()
        if callable(value) and not name.startswith("_")
    ]


def test_of_recordings_it_reads_only_what_their_protocols_list():
    whole = volume()
    frames = only(FramesLike, whole)
    for name in methods_of(FramesLike):
        setattr(frames, name, getattr(whole, name))
    frames.placement = SimpleNamespace(size=whole.placement.size, extents=whole.placement.extents)
    values = np.sin(np.arange(40, dtype=np.float32))
    grid = GridPlacement((40,), ((0.0, 40.0),))
    heard = SignalExplanation(**targets_of(np.eye(2, 20, dtype=np.float32)), signal=Signal(values, 8.0), placement=grid)
    signal = only(SignalLike, heard)
    for minimal, explanation in ((frames, whole), (signal, heard)):
        minimal.targets = [only(TargetLike, target) for target in explanation.targets]
        assert viewer_data([minimal]) == viewer_data([explanation])
        assert viewer_data([minimal])["images"][0]["name"] == f"{explanation.noun} 1"


def test_only_one_table_tells_kinds_of_explanations_apart():
    """`isinstance` is left for a sample of several images, which is several explanations."""
    sources = Path(seewhy.viewer.__file__).parent.glob("*.py")
    found = {
        name for source in sources for name in re.findall(r"isinstance\([^,]+, (\w+Like)\)", source.read_text("utf-8"))
    }
    assert found == {"SampleLike"}
    nouns = {kind.noun for kind in (Volume, Video, Signal)} | {"image"}
    assert set(KINDS) == nouns
