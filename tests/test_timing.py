"""Where the time goes: nested phases, threads, and overlapping measurements."""

import threading

import numpy as np
import pytest

import seewhy
from seewhy import timing
from seewhy.timing import Phase, measure, phase
from tests.sample_models import paper_sequential


@pytest.fixture
def clock(monkeypatch):
    """A clock that only advances when the test says so."""

    class Clock:
        now = 100.0

        def advance(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", lambda: clock.now)
    return clock


def test_a_nested_phase_counts_for_the_inner_phase_only(clock):
    with measure() as times:
        with phase(Phase.RUNNING):
            clock.advance(1)
            with phase(Phase.COMPILING):
                clock.advance(10)
                with phase(Phase.COMPILING), phase(Phase.IMPORTING):
                    clock.advance(100)
            clock.advance(1000)
            with phase(Phase.PREPROCESSING):
                clock.advance(0.5)
        clock.advance(10_000)
        with phase(Phase.RUNNING):
            clock.advance(4)
    clock.advance(5)
    assert times.this_thread == {
        Phase.RUNNING: 1005, Phase.COMPILING: 10, Phase.IMPORTING: 100, Phase.PREPROCESSING: 0.5
    }  # fmt: skip
    assert times.total == 11_115.5
    assert times.other_threads == {}


def test_the_table(clock):
    def write():
        with phase(Phase.WRITING):
            clock.advance(0.25)

    with measure() as times:
        with phase(Phase.RUNNING):
            clock.advance(0.5)
        with phase(Phase.IMPORTING):
            clock.advance(12)
        clock.advance(1)
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
    assert times.other_threads == {Phase.WRITING: 0.25}
    assert times.table(images=5).splitlines() == [
        "where the time went                                   seconds    per image",
        "importing the framework and other packages             12.000",
        "running the model and the method                        0.500        0.100",
        "everything else                                         1.250",
        "total elapsed                                          13.750",
        "at the same time, in other threads:",
        "encoding and writing files                              0.250        0.050",
    ]
    assert str(times).splitlines()[2] == "running the model and the method                        0.500"


def test_only_what_happens_within_the_block_is_measured(clock):
    @phase(Phase.DRAWING)
    def draw():
        clock.advance(1)

    with phase(Phase.RUNNING):  # it began before the measurement
        clock.advance(1)
        with measure() as first:
            draw()
            with measure() as second:
                draw()
            draw()
        clock.advance(1)
    draw()
    assert (first.this_thread, first.total) == ({Phase.DRAWING: 3}, 3)
    assert (second.this_thread, second.total) == ({Phase.DRAWING: 1}, 1)


def test_a_phase_that_fails_is_measured_too(clock):
    @phase(Phase.LOADING)
    def fail():
        with phase(Phase.IMPORTING):
            clock.advance(2)
            raise ZeroDivisionError

    with measure() as times:
        with pytest.raises(ZeroDivisionError):
            fail()
        with phase(Phase.RUNNING):
            clock.advance(1)
    assert times.this_thread == {Phase.LOADING: 0, Phase.IMPORTING: 2, Phase.RUNNING: 1}


def test_an_explanation_from_a_file_to_a_file(tmp_path, examples):
    """Every phase appears in its thread, and those of one thread add up to no more than the total."""
    classifier = seewhy.Classifier(paper_sequential(), preprocess=lambda pixels: pixels[..., :1], input_size=(2, 2))
    with measure() as times:
        (explanation,) = seewhy.Explainer(classifier, layer="conv").explain([examples / "cat.png"], [0])
        explanation.save(tmp_path / "cat.png")
    assert set(times.this_thread) == {
        Phase.AWAITING_IMAGES, Phase.PREPROCESSING, Phase.COMPILING, Phase.RUNNING, Phase.DRAWING, Phase.WRITING
    }  # fmt: skip
    assert set(times.other_threads) == {Phase.READING}
    assert all(seconds > 0 for seconds in (*times.this_thread.values(), *times.other_threads.values()))
    assert sum(times.this_thread.values()) <= times.total


def test_a_method_that_runs_again_compiles_for_its_batches_once():
    inputs = np.ones((1, 2, 2, 1), np.float32)
    explainer = seewhy.Explainer(paper_sequential(), "ablationcam", layer="conv")
    with measure() as first:
        explainer.heatmaps(inputs, [0])
    with measure() as second:
        explainer.heatmaps(inputs, [1])
    assert set(first.this_thread) == {Phase.COMPILING, Phase.RUNNING}
    assert set(second.this_thread) == {Phase.RUNNING}
