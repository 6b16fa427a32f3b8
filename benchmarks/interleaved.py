"""How everything here is measured: in turns, and as ratios.

A machine grows slower and faster while it measures. So the variants run one after the other, round after round, and
what counts are the ratios of each round: whatever slowed one variant slowed its neighbours.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

WARM_UP = 3

Variants = dict[str, Callable[[], object]]
Times = dict[str, list[float]]


def interleave(variants: Variants, rounds: int) -> Times:
    """Run every variant once in each round, and return the times by variant, in milliseconds."""
    for _ in range(WARM_UP):
        for call in variants.values():
            call()
    times: Times = {name: [] for name in variants}
    for _ in range(rounds):
        for name, call in variants.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    return times


@dataclass(frozen=True)
class Spread:
    """The middle of what was measured, and the half of it around the middle."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Return the median and the quartiles."""
        low, _, high = statistics.quantiles(values, n=4)
        return cls(low, statistics.median(values), high)

    def shown(self, digits: int) -> str:
        """Return "1.05 (1.03 to 1.08)"."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def ratios(times: Times, variant: str, base: str) -> Spread:
    """Return how many times as long as `base` a variant took, round by round."""
    return Spread.of([one / other for one, other in zip(times[variant], times[base], strict=True)])


def machine(*packages: str) -> str:
    """Return what a reader must know of where this was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("seewhy", *packages))
    processor = platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
