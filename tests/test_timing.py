"""Where the time goes: what is inside of what, in which thread, and for whom it is noted."""

import threading

import numpy as np
import pytest

import seewhy
from seewhy import timing
from seewhy.timing import Phase, collected, phase
from tests.sample_models import paper_sequential


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only where it is told to."""

    class Clock:
        now = 100.0

        def pass_by(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", lambda: clock.now)
    return clock


def test_what_is_inside_counts_for_the_inner_one_alone(clock):
    with collected() as times:
        with phase(Phase.RUNNING):
            clock.pass_by(1)
            with phase(Phase.COMPILING):
                clock.pass_by(10)
                with phase(Phase.COMPILING), phase(Phase.IMPORTING):
                    clock.pass_by(100)
            clock.pass_by(1000)
            with phase(Phase.PREPROCESSING):
                clock.pass_by(0.5)
        clock.pass_by(10_000)
        with phase(Phase.RUNNING):
            clock.pass_by(4)
    clock.pass_by(5)
    assert times.own == {
        Phase.RUNNING: 1005, Phase.COMPILING: 10, Phase.IMPORTING: 100, Phase.PREPROCESSING: 0.5
    }  # fmt: skip
    assert times.total == 11_115.5
    assert times.meanwhile == {}


def test_the_table(clock):
    def write():
        with phase(Phase.WRITING):
            clock.pass_by(0.25)

    with collected() as times:
        with phase(Phase.RUNNING):
            clock.pass_by(0.5)
        with phase(Phase.IMPORTING):
            clock.pass_by(12)
        clock.pass_by(1)
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
    assert times.meanwhile == {Phase.WRITING: 0.25}
    assert times.table(images=5).splitlines() == [
        "where the time went                                   seconds    per image",
        "importing the framework and what else is needed        12.000",
        "running the model and the method                        0.500        0.100",
        "everything else                                         1.250",
        "together, by the clock                                 13.750",
        "meanwhile, in other threads:",
        "encoding and writing files                              0.250        0.050",
    ]
    assert str(times).splitlines()[2] == "running the model and the method                        0.500"


def test_nothing_is_noted_before_or_after(clock):
    @phase(Phase.DRAWING)
    def draw():
        clock.pass_by(1)

    with phase(Phase.RUNNING):  # it began before anyone asked
        clock.pass_by(1)
        with collected() as first:
            draw()
            with collected() as second:
                draw()
            draw()
        clock.pass_by(1)
    draw()
    assert (first.own, first.total) == ({Phase.DRAWING: 3}, 3)
    assert (second.own, second.total) == ({Phase.DRAWING: 1}, 1)


def test_what_fails_took_its_time_too(clock):
    @phase(Phase.LOADING)
    def fail():
        with phase(Phase.IMPORTING):
            clock.pass_by(2)
            raise ZeroDivisionError

    with collected() as times:
        with pytest.raises(ZeroDivisionError):
            fail()
        with phase(Phase.RUNNING):
            clock.pass_by(1)
    assert times.own == {Phase.LOADING: 0, Phase.IMPORTING: 2, Phase.RUNNING: 1}


def test_an_explanation_from_a_file_to_a_file(tmp_path, examples):
    """Every phase of it is there, in its thread, and what is not overlapped is no longer than the clock says."""
    classifier = seewhy.Classifier(paper_sequential(), preprocess=lambda pixels: pixels[..., :1], input_size=(2, 2))
    with collected() as times:
        (explanation,) = seewhy.Explainer(classifier, layer="conv").explain([examples / "cat.png"], [0])
        explanation.save(tmp_path / "cat.png")
    assert set(times.own) == {
        Phase.AWAITING_IMAGES, Phase.PREPROCESSING, Phase.COMPILING, Phase.RUNNING, Phase.DRAWING, Phase.WRITING
    }  # fmt: skip
    assert set(times.meanwhile) == {Phase.READING}
    assert all(seconds > 0 for seconds in (*times.own.values(), *times.meanwhile.values()))
    assert sum(times.own.values()) <= times.total


def test_a_method_that_runs_again_compiles_for_its_batches_once():
    inputs = np.ones((1, 2, 2, 1), np.float32)
    explainer = seewhy.Explainer(paper_sequential(), "ablationcam", layer="conv")
    with collected() as first:
        explainer.heatmaps(inputs, [0])
    with collected() as second:
        explainer.heatmaps(inputs, [1])
    assert set(first.own) == {Phase.COMPILING, Phase.RUNNING}
    assert set(second.own) == {Phase.RUNNING}
