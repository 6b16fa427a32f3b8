"""How the cost of an explanation grows: with the classes, from 1 to 1,000, and with the batch, from 1 to 64 pictures.

Each case is a process of its own, in which the bare forward pass of the same batch takes turns with the explanations.
"""

import argparse
import json
import os
import subprocess
import sys
from typing import NamedTuple

from benchmarks.interleaved import Spread, Times, interleave, machine, ratios

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CLASSES = (1, 8, 64, 1000)
BATCHES = (1, 4, 16, 64)
GOAL = "1.50"
"""How many times as long as the bare forward pass 1,000 classes of one picture may take."""


class Case(NamedTuple):
    """A framework, a network, and how many pictures are in the batch."""

    framework: str
    network: str
    pictures: int = 1


BY_CLASSES = (
    Case("keras-tensorflow", "ResNet50"),
    Case("keras-tensorflow", "Xception"),
    Case("keras-jax", "ResNet50"),
    Case("keras-jax", "Xception"),
    Case("keras-torch", "ResNet50"),
    Case("torch", "ResNet50"),
)
BY_BATCH = tuple(Case("torch", "ResNet50", pictures) for pictures in BATCHES)


def measure(case: Case, counts: list[int], rounds: int) -> Times:
    """Measure one case, in this process."""
    from benchmarks.forwards import subject

    import seewhy

    what = subject(*case)
    explainer = seewhy.Explainer(what.network)

    def explain(count: int) -> object:
        return explainer.heatmaps(what.batch, list(range(count)))

    calls = {str(count): (lambda count=count: explain(count)) for count in counts}
    return interleave({"forward": what.forward, **calls}, rounds)


def measure_alone(case: Case, counts: tuple[int, ...], rounds: int) -> Times:
    """Measure one case in a process of its own."""
    one = json.dumps([case, counts])
    command = [sys.executable, "-m", "benchmarks.growth", "--one", one, "--rounds", str(rounds)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    times: Times = json.loads(found.stdout)
    return times


def cells(times: Times, counts: tuple[int, ...]) -> dict[str, str]:
    """Return the cells of one case: the forward pass, and what so many classes take of it."""
    shown = {"forward, ms": Spread.of(times["forward"]).shown(0)}
    for count in counts:
        shown[f"{count:,} class{'es' * (count > 1)}"] = ratios(times, str(count), "forward").shown(2)
    return shown


def run(rounds: int) -> None:
    """Measure everything, and publish both tables."""
    from benchmarks.results import publish

    where = machine("keras", "tensorflow", "jax", "torch", "torchvision")
    measured = [(case, measure_alone(case, CLASSES, rounds)) for case in BY_CLASSES]
    publish(
        "growth-classes",
        f"One picture and more and more classes, as times the bare forward pass; {rounds} rounds, medians, and the "
        f"middle half; goal for 1,000 classes: {GOAL}",
        [{"": f"{case.framework}, {case.network}", **cells(times, CLASSES)} for case, times in measured],
        [{**case._asdict(), "ms": times} for case, times in measured],
        where,
    )
    measured = [(case, measure_alone(case, (1, 8), max(4, rounds // case.pictures))) for case in BY_BATCH]
    publish(
        "growth-batch",
        "Larger and larger batches, as times the bare forward pass of the same batch: native PyTorch, ResNet-50; "
        "medians, and the middle half",
        [{"pictures": str(case.pictures), **cells(times, (1, 8))} for case, times in measured],
        [{**case._asdict(), "ms": times} for case, times in measured],
        where,
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="rounds of a batch of one (default 20)")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # print the times of one case as JSON
    arguments = parser.parse_args()
    if arguments.one:
        case, counts = json.loads(arguments.one)
        print(json.dumps(measure(Case(*case), counts, arguments.rounds)))
    else:
        run(arguments.rounds)


if __name__ == "__main__":
    main()
