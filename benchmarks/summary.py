"""The goals and what was measured of each, from the results of the other benchmarks.

    python -m benchmarks.summary

It measures nothing itself.
"""

from typing import Any

from benchmarks.goals import GOALS, judged, misses
from benchmarks.interleaved import machine
from benchmarks.results import Row, publish, read_results

HEADINGS = ("of", "ratio", "goal", "measured", "missed by")


def summary(results: dict[str, dict[str, Any]]) -> tuple[list[Row], list[Row]]:
    """Return the cells of every goal, and of every miss.

    Args:
        results: As they were written, by name.
    """
    figures = {goal: results.get(goal.result, {}).get("figures", ()) for goal in GOALS}
    missed = [miss for goal, found in figures.items() for miss in misses(goal, found)]
    return [judged(goal, found) for goal, found in figures.items()], missed or [dict.fromkeys(HEADINGS, "none")]


def main() -> None:
    """Publish the summary."""
    results = read_results()
    where = results.get("cost", {}).get("where", machine())
    goals, missed = summary(results)
    publish("summary-misses", "Where a goal is missed", missed, {}, where)
    publish("summary", "The goals, and the medians that were measured", goals, {}, where)


if __name__ == "__main__":
    main()
