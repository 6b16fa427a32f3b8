"""What the benchmarks of many cases share: a process for each case, turns in it, and figures of what they took.

A case is a framework and a model. In its process the bare forward pass of a batch and the explanations of that batch
take turns. Their times become figures: medians and quartiles by framework, model, batch, tool and classes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from benchmarks.forwards import FRAMEWORKS, Subject
from benchmarks.goals import goal_of
from benchmarks.interleaved import Spread, Times, Variants, interleave, ratios
from benchmarks.results import Figure

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PACKAGES = ("keras", "tensorflow", "jax", "torch", "torchvision")


class Case(NamedTuple):
    """What is measured in one process; `kind` tells cases of one model apart."""

    framework: str
    model: str
    kind: str = ""

    @property
    def title(self) -> str:
        """How tables call it."""
        return f"{FRAMEWORKS[self.framework]}, {self.model}"


class Turns(NamedTuple):
    """What took turns: a batch, and the milliseconds of "forward" and of "TOOL, CLASSES" in each round."""

    images: int
    side: int
    ms: Times


Measured = list[tuple[Case, list[Turns]]]
Measure = Callable[[Case, float], list[Turns]]


def take_turns(what: Subject, explainer: Any, counts: Sequence[int], seconds: float, *, slow: bool = False) -> Turns:
    """Let the bare forward pass of a batch and explanations of so many classes of it take turns.

    Args:
        what: The model and the batch.
        explainer: The Explainer of that model.
        counts: How many classes are explained.
        seconds: The budget.
        slow: Whether each takes seconds.
    """
    variants: Variants = {"forward": what.forward}
    for count in counts:
        variants[f"seewhy, {count}"] = partial(explainer.heatmaps, what.batch, list(range(count)))
    return turns(what, variants, seconds, slow=slow)


def turns(what: Subject, variants: Variants, seconds: float, *, slow: bool = False) -> Turns:
    """Let calls that are named "forward" and "TOOL, CLASSES" take turns."""
    images, _, side, _ = what.batch.shape  # of (N, h, w, 3) and of (N, 3, h, w) alike
    return Turns(images, side, interleave(variants, seconds, slow=slow))


def figures(name: str, measured: Measured) -> list[Figure]:
    """Return what was measured as figures.

    Each has the case's `title`, `framework` and `model`, the batch's `images` and `side`, the `tool`, the number of
    `classes`, the number of `rounds`, the `ms`, the `forward` ratio, the `seewhy` ratio if it is another tool, and the
    `goal`. A spread is three numbers: lower quartile, median, upper quartile.

    Args:
        name: Of the result, by which goals are found.
        measured: Turns by case.
    """
    found = []
    for case, of_case in measured:
        for turn in of_case:
            what = {"title": case.title, "framework": case.framework, "model": case.model}
            what |= {"images": turn.images, "side": turn.side, "rounds": len(turn.ms["forward"])}
            for variant, ms in turn.ms.items():
                tool, _, classes = variant.partition(", ")
                figure: Figure = {**what, "tool": tool, "classes": int(classes or 0), "ms": Spread.of(ms).numbers()}
                figure["forward"] = ratios(turn.ms, variant, "forward").numbers()
                if tool not in ("forward", "seewhy"):
                    figure["seewhy"] = ratios(turn.ms, variant, f"seewhy, {classes}").numbers()
                found.append(figure | {"goal": goal_of(name, figure)})
    return found


def shown(spread: list[float], digits: int = 2) -> str:
    """Return "1.05 (1.03 to 1.08)" of the three numbers of a figure."""
    return Spread(*spread).shown(digits)


def raw(measured: Measured) -> list[dict[str, Any]]:
    """Return every time, to be written as JSON."""
    return [{**case._asdict(), **turn._asdict()} for case, of_case in measured for turn in of_case]


def main(
    module: str, cases: Sequence[Case], measure: Measure, publish: Callable[[Measured], None], seconds: float
) -> None:
    """Run a benchmark of many cases, as its command line says.

    Args:
        module: Its name, as in `python -m benchmarks.NAME`.
        cases: All of them.
        measure: Measures one, in this process, within a budget of seconds; 0 is only to see that it runs.
        publish: Publishes the tables.
        seconds: The budget, if none is given.

    Raises:
        SystemExit: Cases failed; the tables of the others are published.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"for each turn (default {seconds:g})")
    parser.add_argument("--framework", choices=FRAMEWORKS, help="only this framework")
    parser.add_argument("--model", help="only this model")
    parser.add_argument("--quick", action="store_true", help="few rounds of one case of each framework, to try it out")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # print the times of one case as JSON
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(Case(*json.loads(given.one)), given.seconds)))
        return
    chosen = [each for each in cases if given.framework in (None, each.framework)]
    chosen = [each for each in chosen if given.model in (None, each.model)]
    if not chosen:
        parser.error(f"no such case; there are {', '.join(dict.fromkeys(' '.join(each[:2]) for each in cases))}")
    if given.quick:
        chosen, given.seconds = list({(each.framework, each.kind): each for each in reversed(chosen)}.values()), 0.0
    measured: Measured = []
    failed: list[str] = []
    for case in chosen:
        try:
            measured.append((case, _measure_alone(module, case, given.seconds)))
        except subprocess.CalledProcessError as error:  # the others are published: they may have taken many minutes
            failed.append(f"{case.title} {case.kind}".rstrip())
            print(f"{module}: {failed[-1]} failed with status {error.returncode}", file=sys.stderr, flush=True)
    if measured:
        publish(measured)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}. The tables are of the other cases.")


def _measure_alone(module: str, case: Case, seconds: float) -> list[Turns]:
    """Measure one case in a process of its own."""
    print(f"{module}: {case.title} {case.kind}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", "--one", json.dumps(case), "--seconds", str(seconds)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [Turns(*each) for each in json.loads(found.stdout.splitlines()[-1])]  # tools print what they like before
