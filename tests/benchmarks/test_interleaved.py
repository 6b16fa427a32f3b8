"""Turns within a budget of seconds, by a clock that the test moves."""

from functools import partial

import pytest
from benchmarks.interleaved import CALLS, LEAST, MOST, SLOW_LEAST, SLOW_WARM_UP, WARM_UP, interleave, ratios


class Clock:
    """Stands still until a call takes its time."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def work(self, name, seconds):
        self.calls.append(name)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def variants(clock, **seconds):
    return {name: partial(clock.work, name, each) for name, each in seconds.items()}


def test_every_round_runs_every_variant_and_times_it(clock):
    times = interleave(variants(clock, one=0.25, two=0.5), 0, clock=clock)
    assert times == {"one": [250.0] * LEAST, "two": [500.0] * LEAST}
    in_turn = 1 + CALLS  # the first is not counted
    assert clock.calls == ["one", "two"] * WARM_UP + (["one"] * in_turn + ["two"] * in_turn) * LEAST


def test_the_first_call_of_a_turn_is_not_counted(clock):
    def call():  # takes long after something else
        clock.work("one", 1.0 if clock.calls[-1:] == ["one"] else 5.0)

    times = interleave({"one": call} | variants(clock, two=0.5), 0, clock=clock)
    assert times["one"] == [1000.0] * LEAST


def test_no_round_begins_after_the_budget(clock):
    times = interleave(variants(clock, one=1.0), 7.5 * (1 + CALLS), clock=clock)
    assert len(times["one"]) == 8, "the eighth begins after 7 turns; warming up does not count"


def test_enough_rounds_are_enough(clock):
    assert len(interleave(variants(clock, one=0.001), 1000, clock=clock)["one"]) == MOST


def test_slow_calls_are_run_less_often(clock):
    times = interleave(variants(clock, one=60.0), 1, slow=True, clock=clock)
    assert len(times["one"]) == SLOW_LEAST
    assert len(clock.calls) == SLOW_WARM_UP + SLOW_LEAST


def test_ratios_are_those_of_each_round():
    # The machine grew ten times slower in the last round: the ratio did not.
    found = ratios({"forward": [1.0, 2.0, 20.0], "seewhy": [1.5, 2.0, 25.0]}, "seewhy", "forward")
    assert (found.low, found.median, found.high) == (1.125, 1.25, 1.375)
