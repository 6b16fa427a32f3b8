"""How everything here is measured: in turns, and as ratios.

A machine grows slower and faster while it measures. So the variants run one after the other, round after round, and
what counts are the ratios of each round: whatever slowed one variant slowed its neighbours. The rounds go on until a
budget of seconds is used up, so that quick models are measured more often than slow ones.

In a turn a variant is called several times, as by someone who explains one image after the other, and the first call
is not counted. It may pay for what the variant before has left behind: threads that wait in a loop, as those of
OpenBLAS do after a large product of NumPy's, and memory that was given back to the system.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

WARM_UP, LEAST = 2, 5
"""Calls of every variant that are not counted, as the first traces and compiles; and rounds whatever the budget."""

SLOW_WARM_UP, SLOW_LEAST = 1, 3
"""The same where each call takes seconds."""

CALLS = 2
"""Calls of a variant in each turn that are counted, after one that is not; a single one, and none before it, where each
takes seconds."""

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
"""Those that decide how fast a model runs, as Linux calls them."""

MOST = 40
"""Rounds that are enough."""

Variants = dict[str, Callable[[], object]]
Times = dict[str, list[float]]


def interleave(
    variants: Variants,
    seconds: float,
    *,
    slow: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Let every variant have a turn in each round, and return the times of a call by variant, in milliseconds.

    Args:
        variants: Calls by name.
        seconds: The budget. When it is used up, no other round begins, but for the least that there must be.
        slow: Whether each call takes seconds, so that fewer rounds must do.
        clock: Tells the seconds.
    """
    for _ in range(SLOW_WARM_UP if slow else WARM_UP):
        for call in variants.values():
            call()
    times: Times = {name: [] for name in variants}
    least = SLOW_LEAST if slow else LEAST
    rounds, begin = 0, clock()
    while rounds < least or (rounds < MOST and clock() - begin < seconds):
        for name, call in variants.items():
            if not slow:
                call()
            calls, start = 1 if slow else CALLS, clock()
            for _ in range(calls):
                call()
            times[name].append(1000 * (clock() - start) / calls)
        rounds += 1
    return times


@dataclass(frozen=True)
class Spread:
    """The middle of what was measured, and the half of it around the middle."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Return the median and the quartiles; of a single value, that value."""
        values = values if len(values) > 1 else values * 2
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, statistics.median(values), high)

    def shown(self, digits: int) -> str:
        """Return "1.05 (1.03 to 1.08)"."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def numbers(self) -> list[float]:
        """Return the three, to four digits."""
        return [float(f"{each:.4g}") for each in (self.low, self.median, self.high)]


def ratios(times: Times, variant: str, base: str) -> Spread:
    """Return how many times as long as `base` a variant took, round by round."""
    return Spread.of([one / other for one, other in zip(times[variant], times[base], strict=True)])


def processor() -> str:
    """Return the processor's model, or at least its kind."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def processor_flags() -> set[str]:
    """Return what the processor can do, as Linux calls it; nothing where nobody says."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def machine(*packages: str) -> str:
    """Return what a reader must know of where this was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("seewhy", *packages))
    known = ", ".join(each for each in INSTRUCTIONS if each in processor_flags()) or "none of the relevant"
    return (
        f"{processor()} (instructions: {known}), {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    )
